"""Renders as they cross HTTP."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.envelope import ApiModel, Timestamp
from api.ids import ModelId, RenderId
from farm.db.renders import Detail
from farm.db.tables import Render
from farm.errors import InvalidSettings
from farm.orders.render_settings import RenderSettings, parse

MAX_BATCH_SIZE = 100

Status = Literal["pending", "poster-processing", "poster-done", "video-processing", "done", "error", "failed"]

# What an answer tells of a render.
StatusField = Annotated[Status, Field(description="How far it has come", examples=["pending"])]
SettingsField = Annotated[RenderSettings, Field(description="What was ordered, defaults spelled out")]


def _parse(raw: Any) -> RenderSettings:
    # As an error of pydantic's, so that it knows where in the body it happened. `parse` names what is wrong with what.
    try:
        return parse(raw)
    except InvalidSettings as error:
        raise PydanticCustomError(InvalidSettings.code, "{message}", {"message": error.message}) from error


RenderSettingsInput = Annotated[RenderSettings, BeforeValidator(_parse)]


class CreateRender(ApiModel):
    """The render_settings for one more render of a model."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    model_id: ModelId
    render_settings: Annotated[RenderSettingsInput, Field(description="How to render it; all defaults unless sent")] = (
        RenderSettings()
    )


class CreateBatch(ApiModel):
    """The render_settings for several renders at once, of one model or of several."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    renders: Annotated[
        list[CreateRender], Field(min_length=1, max_length=MAX_BATCH_SIZE, description=f"1 to {MAX_BATCH_SIZE} renders")
    ]


class RenderQueued(ApiModel):
    """A render of a batch that now waits for a worker."""

    id: RenderId
    model_id: ModelId
    status: StatusField

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status)


class RenderCreated(RenderQueued):
    """A render that now waits for a worker."""

    render_settings: SettingsField

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status, render_settings=parse(row.settings))


class RenderSummary(ApiModel):
    """A render in its model's list."""

    id: RenderId
    status: StatusField
    is_system_preview: Annotated[
        bool,
        Field(alias="is_system_preview", description="Whether it is the free preview of an upload", examples=[False]),
    ]
    render_settings: SettingsField
    created_at: Annotated[Timestamp, Field(description="When it was ordered, UTC")]
    updated_at: Annotated[Timestamp, Field(description="When its status changed last, UTC")]

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


class Progress(ApiModel):
    """How many frames are drawn, of how many."""

    frames: Annotated[int, Field(ge=0, description="Frames drawn so far", examples=[72])]
    of: Annotated[int, Field(ge=1, description="Frames of the whole video", examples=[180])]


class RenderDetail(RenderSummary):
    """A render with what has become of it."""

    model_id: ModelId
    file_size: Annotated[int | None, Field(ge=0, description="Bytes of the video; null until done", examples=[None])]
    error_message: Annotated[
        str | None, Field(description="Why there is no video, with status `error` or `failed`", examples=[None])
    ]
    has_web_variant: Annotated[bool, Field(description="Whether `/video?quality=web` has a file", examples=[False])]
    progress: Annotated[Progress, Field(description="How many frames are drawn, of how many")]

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


class RenderDeleted(ApiModel):
    """The id of a render that is no more."""

    id: RenderId
    deleted: Annotated[Literal[True], Field(description="Always true")] = True
