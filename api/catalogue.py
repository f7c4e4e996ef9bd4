"""/v1/scenes and /v1/effects: the values of `scene` and `effect` in render settings, with a still of each."""

import inspect
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import Field
from pydantic.alias_generators import to_camel

from api.assets.service import EMBEDDABLE
from api.auth import KeyedRoute, RendersRead
from api.envelope import ApiModel, Data
from api.errors import errors
from camera_paths import PATHS, CameraPath
from farm import templates
from farm.errors import BadTemplate, NotFound

router = APIRouter(tags=["Scenes and effects"], route_class=KeyedRoute)

STILL: dict[int | str, dict[str, Any]] = {
    200: {"description": "The still", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}
PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600", **EMBEDDABLE}
SceneInPath = Annotated[str, InPath(max_length=255, description="A name from the list of scenes", examples=["studio"])]
EffectInPath = Annotated[
    str, InPath(max_length=255, description="A name from the list of effects", examples=["hero-spin"])
]
STILL_PATH = "Path of a JPEG, for the same key; null if there is none"


class SceneItem(ApiModel):
    """A scene template."""

    name: Annotated[str, Field(description="The value of `scene`", examples=["studio"])]
    title: Annotated[str, Field(description="Display name", examples=["Studio"])]
    description: Annotated[str, Field(description="A short description", examples=["A white studio with soft light"])]
    still: Annotated[str | None, Field(description=STILL_PATH, examples=["/v1/scenes/studio/still"])]


class EffectItem(ApiModel):
    """A camera path of videos."""

    name: Annotated[str, Field(description="The value of `effect`", examples=["hero-spin"])]
    title: Annotated[str, Field(description="Display name", examples=["Hero spin"])]
    description: Annotated[str, Field(description="A short description", examples=["A fast spin that slows down"])]
    loops: Annotated[bool, Field(description="Whether the video is seamless when it is repeated", examples=[False])]
    fields: Annotated[
        list[str], Field(description="The render settings that only some effects have", examples=[["sweepAngle"]])
    ]
    still: Annotated[str | None, Field(description=STILL_PATH, examples=["/v1/effects/hero-spin/still"])]


@router.get("/scenes", responses=errors())
def list_scenes(_: RendersRead) -> Data[list[SceneItem]]:
    """List the scenes that `scene` in render settings may name."""
    scenes = []
    for name in templates.names():
        try:
            template = templates.load(name)
        except BadTemplate:  # it cannot be rendered
            continue
        still = f"/v1/scenes/{name}/still" if _still_of_scene(name).is_file() else None
        scenes.append(SceneItem(name=name, title=template.title, description=template.description, still=still))
    return Data(data=scenes)


@router.get("/scenes/{name}/still", response_class=Response, responses=STILL | errors(NotFound))
def get_scene_still(name: SceneInPath, _: RendersRead) -> FileResponse:
    """Download a picture of a product in the scene."""
    if name not in templates.names():
        raise NotFound("There is no scene with this name: GET /v1/scenes lists all")
    return _picture(_still_of_scene(name))


@router.get("/effects", responses=errors())
def list_effects(_: RendersRead) -> Data[list[EffectItem]]:
    """List the camera paths that `effect` in render settings may name."""
    return Data(
        data=[
            EffectItem(
                name=path.name,
                title=path.title,
                description=path.description[:1].upper() + path.description[1:],
                loops=path.loops,
                fields=[to_camel(option) for option in path.options],
                still=f"/v1/effects/{path.name}/still" if _still_of_effect(path).is_file() else None,
            )
            for path in PATHS.values()
        ]
    )


@router.get("/effects/{name}/still", response_class=Response, responses=STILL | errors(NotFound))
def get_effect_still(name: EffectInPath, _: RendersRead) -> FileResponse:
    """Download pictures of moments of the effect in a row."""
    if name not in PATHS:
        raise NotFound("There is no effect with this name: GET /v1/effects lists all")
    return _picture(_still_of_effect(PATHS[name]))


def moving_picture(effect: str) -> Path | None:
    """A small animation of an effect, which the portal shows; None if there is none."""
    file = Path(inspect.getfile(PATHS[effect].pose)).with_suffix(".webp") if effect in PATHS else None
    return file if file and file.is_file() else None


def _still_of_scene(name: str) -> Path:
    return templates.blend(name).with_suffix(".jpg")


def _still_of_effect(path: CameraPath) -> Path:
    return Path(inspect.getfile(path.pose)).with_suffix(".jpg")


def _picture(file: Path) -> FileResponse:
    if not file.is_file():
        raise NotFound("This has no still")
    return FileResponse(file, media_type="image/jpeg", headers=PICTURE_HEADERS)
