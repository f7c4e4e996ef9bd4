"""Find and load scene templates: each is a .blend with a .toml of the same name beside it."""

import hashlib
import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

import blender_scenes
from farm.errors import BadTemplate
from farm.scene.shot import Engine
from farm.settings import Settings
from farm.tiers import TIERS

BUILT_IN = Path(blender_scenes.__file__).parent
STAND_IN = BUILT_IN / "stand_in.glb"
MIN_SAMPLES, MAX_SAMPLES = 4, 4096
EEVEE_SAMPLES = 4  # per pixel, of tiers for which a template asks no other number: its noise is below Cycles' at 16


class Template(BaseModel):
    """The content of a template's .toml: the samples per pixel by tier, previews included, for each engine.

    `samples` are Cycles', of every tier; `eevee_samples` are EEVEE's, where they are not EEVEE_SAMPLES.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: Annotated[str, Field(min_length=1)]
    description: Annotated[str, Field(min_length=1)]
    samples: Annotated[dict[str, int], Field(description="Tier name to samples per pixel")]
    eevee_samples: Annotated[dict[str, int], Field(description="Tier name to EEVEE's samples per pixel")] = {}

    @field_validator("samples", "eevee_samples")
    @classmethod
    def _check_samples(cls, samples: dict[str, int], field: ValidationInfo) -> dict[str, int]:
        for tier in samples.keys() - TIERS.keys():
            raise _wrong_samples(field, tier, f"is not a known key. Known: {', '.join(TIERS)}")
        for tier in TIERS:
            if tier in samples and not MIN_SAMPLES <= samples[tier] <= MAX_SAMPLES:
                raise _wrong_samples(
                    field, tier, f"is {samples[tier]}, but must be from {MIN_SAMPLES} to {MAX_SAMPLES}"
                )
            if tier not in samples and field.field_name == "samples":
                raise _wrong_samples(
                    field, tier, f"is missing: set its samples per pixel, from {MIN_SAMPLES} to {MAX_SAMPLES}"
                )
        return samples

    def samples_by(self, engine: Engine, tier: str) -> int:
        """The samples per pixel that an engine draws for a tier."""
        return self.eevee_samples.get(tier, EEVEE_SAMPLES) if engine == "eevee" else self.samples[tier]


def _wrong_samples(field: ValidationInfo, tier: str, problem: str) -> PydanticCustomError:
    key = f"{field.field_name}.{tier}"
    return PydanticCustomError("samples", "{key} {problem}", {"key": key, "problem": problem})


def folders() -> list[Path]:
    """The folders with templates: FARM_TEMPLATES if it is set, then the built-in one."""
    own = _own_folder(os.environ.get("FARM_TEMPLATES"))
    return [own, BUILT_IN] if own else [BUILT_IN]


@lru_cache(maxsize=8)
def _own_folder(_setting: str | None) -> Path | None:
    """Cached by the variable's value, because reading all settings takes milliseconds."""
    return Settings().templates


def found() -> dict[str, Path]:
    """The .blend of every template that has both files, by name. Earlier folders take precedence."""
    blends = (blend for folder in reversed(folders()) for blend in folder.glob("*.blend"))
    return {blend.stem: blend for blend in blends if blend.with_suffix(".toml").is_file()}


def names() -> list[str]:
    """The names of all templates, in alphabetical order."""
    return sorted(found())


def blend(name: str) -> Path:
    """The .blend of the template called `name`. Raises BadTemplate when there is none."""
    path = found().get(name)
    if path is None:
        raise BadTemplate(f"There is no template called {name}. Templates: {', '.join(names())}")
    return path


def locate(file_or_name: str) -> Path:
    """The .blend for a path or a template's name. Raises BadTemplate when there is neither."""
    path = found().get(file_or_name, Path(file_or_name))
    if not path.is_file():
        raise BadTemplate(f"{file_or_name} is neither a file nor a template. Templates: {', '.join(names())}")
    return path


def load(name: str) -> Template:
    """The template called `name`. Raises BadTemplate when there is none or its .toml is invalid."""
    return read_toml(blend(name).with_suffix(".toml"))


def read_toml(path: Path) -> Template:
    """Read a template's .toml. Raises BadTemplate, naming the file and the key."""
    try:
        return Template.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise BadTemplate(f"{path.name} is missing: a template is a .blend with a .toml beside it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadTemplate(f"{path.name} is not readable TOML: {error}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        message = {
            "missing": f"{key} is missing",
            "extra_forbidden": f"{key} is not a known key. Known: {', '.join(Template.model_fields)}",
            "samples": problem["msg"],
        }.get(problem["type"], f"{key} is {problem['input']!r}: {problem['msg']}")
        raise BadTemplate(f"{path.name}: {message}") from error


def version(name: str) -> str:
    """A hash of the template's two files. Raises BadTemplate when there is no such template."""
    path = blend(name)
    both = [(file, file.stat()) for file in (path, path.with_suffix(".toml"))]
    digests = [_digest(file, stat.st_mtime_ns, stat.st_size) for file, stat in both]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@lru_cache(maxsize=256)
def _digest(file: Path, _changed: int, _size: int) -> str:
    """Cached until the file's time or size changes, because a batch needs the digest repeatedly."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
