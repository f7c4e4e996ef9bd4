"""Scene templates as the farm sees them: each a .blend with a .toml of the same name beside it."""

import hashlib
import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

import blender_scenes
from farm.errors import BadTemplate
from farm.settings import Settings
from farm.tiers import TIERS

BUILT_IN = Path(blender_scenes.__file__).parent
STAND_IN = BUILT_IN / "stand_in.glb"
MIN_SAMPLES, MAX_SAMPLES = 4, 4096


class Template(BaseModel):
    """What a template's .toml says: `samples` is the samples a pixel for every quality tier, and for previews."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: Annotated[str, Field(min_length=1)]
    description: Annotated[str, Field(min_length=1)]
    samples: Annotated[dict[str, int], Field(description="Tier name to samples a pixel")]

    @field_validator("samples")
    @classmethod
    def _are_there_for_every_tier(cls, samples: dict[str, int]) -> dict[str, int]:
        for tier in samples.keys() - TIERS.keys():
            raise _wrong_samples(tier, f"is not a known key. Known: {', '.join(TIERS)}")
        for tier in TIERS:
            if tier not in samples:
                raise _wrong_samples(tier, f"is missing: say how many samples a pixel it takes, {MIN_SAMPLES} or more")
            if not MIN_SAMPLES <= samples[tier] <= MAX_SAMPLES:
                raise _wrong_samples(tier, f"is {samples[tier]}, but must be from {MIN_SAMPLES} to {MAX_SAMPLES}")
        return samples


def _wrong_samples(tier: str, problem: str) -> PydanticCustomError:
    return PydanticCustomError("samples", "samples.{tier} {problem}", {"tier": tier, "problem": problem})


def folders() -> list[Path]:
    """Where templates lie: FARM_TEMPLATES first, where the studio has one, then those that come with the farm."""
    own = _own_folder(os.environ.get("FARM_TEMPLATES"))
    return [own, BUILT_IN] if own else [BUILT_IN]


@lru_cache(maxsize=8)
def _own_folder(_setting: str | None) -> Path | None:
    """Settings are read once for each value of the variable, as reading all of them takes milliseconds."""
    return Settings().templates


def found() -> dict[str, Path]:
    """The Blender file of every template that is there, a .blend with its .toml, by name."""
    blends = (blend for folder in reversed(folders()) for blend in folder.glob("*.blend"))
    return {blend.stem: blend for blend in blends if blend.with_suffix(".toml").is_file()}


def names() -> list[str]:
    """The templates that are there, in alphabetical order."""
    return sorted(found())


def blend(name: str) -> Path:
    """The Blender file of the template called `name`. Raises BadTemplate when there is none."""
    path = found().get(name)
    if path is None:
        raise BadTemplate(f"There is no template called {name}. There are: {', '.join(names())}")
    return path


def locate(file_or_name: str) -> Path:
    """The .blend that an artist means, by its path or by a template's name. Raises BadTemplate."""
    path = found().get(file_or_name, Path(file_or_name))
    if not path.is_file():
        raise BadTemplate(f"{file_or_name} is neither a file nor a template. Templates: {', '.join(names())}")
    return path


def load(name: str) -> Template:
    """The template called `name`. Raises BadTemplate when there is none, or when its .toml is broken."""
    return read_toml(blend(name).with_suffix(".toml"))


def read_toml(path: Path) -> Template:
    """A template's .toml. Raises BadTemplate, naming the file and the key."""
    try:
        return Template.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise BadTemplate(f"{path.name} is missing: a template is a .blend with a .toml beside it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadTemplate(f"{path.name} is not readable TOML: {error}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        said = {
            "missing": f"{key} is missing",
            "extra_forbidden": f"{key} is not a known key. Known: {', '.join(Template.model_fields)}",
            "samples": problem["msg"],
        }.get(problem["type"], f"{key} is {problem['input']!r}: {problem['msg']}")
        raise BadTemplate(f"{path.name}: {said}") from error


def version(name: str) -> str:
    """Changes whenever the template does: a hash of both its files. Raises BadTemplate when there is none."""
    path = blend(name)
    both = [(file, file.stat()) for file in (path, path.with_suffix(".toml"))]
    digests = [_digest(file, stat.st_mtime_ns, stat.st_size) for file, stat in both]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@lru_cache(maxsize=256)
def _digest(file: Path, _changed: int, _size: int) -> str:
    """Read once for as long as the file's time and size stay the same: a batch asks for it again and again."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
