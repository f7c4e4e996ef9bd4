"""Small datasets of three models in both coverages, drawn once per session by a real Blender host."""

from collections.abc import Callable

import pytest

from farm.blender.host_process import BlenderHost
from farm.rendering.local import as_gltf
from farm.tiers import Coverage
from tests.dataset.dataset import Dataset
from tests.dataset.drawing import drawn, spec
from tests.dataset.models import MODELS


@pytest.fixture(scope="session")
def dataset_of(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Coverage], Dataset]:
    """Returns the dataset of one of MODELS, drawn at its first use."""
    made: dict[tuple[str, str], Dataset] = {}

    def get(name: str, coverage: Coverage) -> Dataset:
        if (name, coverage) not in made:
            folder = tmp_path_factory.mktemp(f"{name}-{coverage}")
            model = as_gltf(MODELS[name](folder), folder)
            made[name, coverage] = Dataset.read(drawn(host, model, spec(coverage), folder))
        return made[name, coverage]

    return get
