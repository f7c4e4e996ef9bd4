"""What the farm reads of a template without opening Blender."""

import pytest

from farm import templates


def test_studio_names_samples_for_every_tier_and_the_preview() -> None:
    studio = templates.load("studio")
    assert studio.title == "Studio"
    assert studio.samples.keys() == {"preview", "share", "standard", "4k"}
    assert all(studio.samples[tier] >= 4 for tier in ("share", "standard", "4k"))


def test_studio_has_its_blender_file() -> None:
    assert templates.blend("studio").is_file()


def test_an_unknown_template_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        templates.load("atlantis")
