"""Renders as they cross HTTP."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.envelope import Moment, Wire
from farm.db.tables import Render
from farm.render_settings import RenderSettings, parse

Status = Literal["pending", "poster-processing", "poster-done", "video-processing", "done", "error"]


class CreateRender(Wire):
    """The wish for one more render of a model."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    model_id: str
    # `parse` raises InvalidSettings, which names the field, its value and what is allowed.
    render_settings: Annotated[RenderSettings, BeforeValidator(parse)] = RenderSettings()


class RenderCreated(Wire):
    """A render that now waits for a worker."""

    id: str
    model_id: str
    status: Status
    render_settings: RenderSettings

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status, render_settings=parse(row.settings))


class RenderSummary(Wire):
    """A render in its model's list."""

    id: str
    status: Status
    is_system_preview: Annotated[bool, Field(alias="is_system_preview")]
    render_settings: RenderSettings
    created_at: Moment
    updated_at: Moment

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(**cls._fields_of(row))

    @staticmethod
    def _fields_of(row: Render) -> dict[str, Any]:
        return {
            "id": row.id,
            "status": row.status,
            "is_system_preview": row.is_system_preview,
            "render_settings": parse(row.settings),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }


class Progress(Wire):
    """How many frames are drawn, of how many."""

    frames: int
    of: int


class RenderDetail(RenderSummary):
    """A render with what has become of it."""

    model_id: str
    file_size: Annotated[int | None, Field(description="Bytes of the video; null until done")]
    error_message: Annotated[str | None, Field(description="Why there is no video, with status `error`")]
    has_web_variant: bool
    progress: Progress

    @staticmethod
    def _fields_of(row: Render) -> dict[str, Any]:
        sizes = {asset.kind: asset.size for asset in row.assets}
        return {
            **RenderSummary._fields_of(row),
            "model_id": row.model_id,
            "file_size": sizes.get("video"),
            "error_message": row.error_message,
            "has_web_variant": "web" in sizes,
            "progress": Progress(frames=sum(chunk.frames_done for chunk in row.shot.chunks), of=row.shot.frames),
        }


class RenderDeleted(Wire):
    """The id of a render that is no more."""

    id: str
    deleted: Literal[True] = True
