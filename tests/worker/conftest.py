"""Farms whose workers draw frames of the size that a test asks for."""

import pytest

from farm.settings import Settings


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A farm that draws frames as the marker `frames` says, such as tests.support.workers.SMALL."""
    frames = request.node.get_closest_marker("frames")
    return settings.model_copy(update=frames.args[0]) if frames else settings
