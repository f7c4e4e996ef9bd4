"""Scene templates as the farm sees them: the .toml beside each .blend."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

import blender_scenes

FOLDER = Path(blender_scenes.__file__).parent


class Template(BaseModel):
    """What a template's .toml says: `samples` is the samples a pixel for every quality tier, and for previews."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    description: str
    samples: dict[str, int] = Field(description="Tier name to samples a pixel")


def blend(name: str) -> Path:
    """The Blender file of the template called `name`."""
    return FOLDER / f"{name}.blend"


def load(name: str) -> Template:
    """The template called `name`. Raises FileNotFoundError."""
    return Template.model_validate(tomllib.loads((FOLDER / f"{name}.toml").read_text()))
