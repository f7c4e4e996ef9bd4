"""One farm for the end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.support.farms import Farm, farm_up


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """One farm for all tests that do not break it."""
    with farm_up(tmp_path_factory.mktemp("farm"), FARM_ENGINE="cycles") as running:
        yield running
