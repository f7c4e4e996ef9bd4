"""Renders as they cross HTTP."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.envelope import Moment, Wire
from farm.db.renders import Detail
from farm.db.tables import Render
from farm.errors import InvalidSettings
from farm.render_settings import RenderSettings, parse

MOST_AT_ONCE = 100

Status = Literal["pending", "poster-processing", "poster-done", "video-processing", "done", "error", "failed"]


def _parse(raw: Any) -> RenderSettings:
    # As an error of pydantic's, so that it knows where in the body it happened. `parse` names what is wrong with what.
    try:
        return parse(raw)
    except InvalidSettings as error:
        raise PydanticCustomError(InvalidSettings.code, "{message}", {"message": error.message}) from error


WishedSettings = Annotated[RenderSettings, BeforeValidator(_parse)]


class CreateRender(Wire):
    """The wish for one more render of a model."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    model_id: str
    render_settings: WishedSettings = RenderSettings()


class CreateBatch(Wire):
    """The wish for several renders at once, of one model or of several."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    renders: Annotated[list[CreateRender], Field(min_length=1, max_length=MOST_AT_ONCE)]


class RenderQueued(Wire):
    """A render of a batch that now waits for a worker."""

    id: str
    model_id: str
    status: Status

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status)


class RenderCreated(RenderQueued):
    """A render that now waits for a worker."""

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
    error_message: Annotated[str | None, Field(description="Why there is no video, with status `error` or `failed`")]
    has_web_variant: bool
    progress: Progress

    @classmethod
    def from_detail(cls, detail: Detail) -> Self:
        row = detail.render
        return cls(
            **cls._fields_of(row),
            model_id=row.model_id,
            file_size=detail.file_size,
            error_message=row.error_message,
            has_web_variant=detail.has_web_variant,
            progress=Progress(frames=detail.frames_done, of=detail.frames),
        )


class RenderDeleted(Wire):
    """The id of a render that is no more."""

    id: str
    deleted: Literal[True] = True
