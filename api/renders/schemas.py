"""Request and response bodies of renders."""

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

# Fields of responses.
StatusField = Annotated[Status, Field(description="Stage of the render", examples=["pending"])]
SettingsField = Annotated[RenderSettings, Field(description="The requested settings, defaults included")]


def _parse(raw: Any) -> RenderSettings:
    # As a pydantic error, so that its location in the body is known; the message of `parse` names the field below that.
    try:
        return parse(raw)
    except InvalidSettings as error:
        raise PydanticCustomError(InvalidSettings.code, "{message}", {"message": error.message}) from error


RenderSettingsInput = Annotated[RenderSettings, BeforeValidator(_parse)]


class CreateRender(ApiModel):
    """One render of a model."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    model_id: ModelId
    render_settings: Annotated[
        RenderSettingsInput, Field(description="Settings of the render. Default: all defaults")
    ] = RenderSettings()


class CreateBatch(ApiModel):
    """Several renders, of one model or of several."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    renders: Annotated[
        list[CreateRender], Field(min_length=1, max_length=MAX_BATCH_SIZE, description=f"1 to {MAX_BATCH_SIZE} renders")
    ]


class RenderQueued(ApiModel):
    """A queued render of a batch."""

    id: RenderId
    model_id: ModelId
    status: StatusField

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status)


class RenderCreated(RenderQueued):
    """A queued render."""

    render_settings: SettingsField

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status, render_settings=parse(row.settings))


class RenderSummary(ApiModel):
    """A render in the list of its model."""

    id: RenderId
    status: StatusField
    is_system_preview: Annotated[
        bool,
        Field(
            alias="is_system_preview",
            description="Whether the render is the free preview of an upload",
            examples=[False],
        ),
    ]
    render_settings: SettingsField
    created_at: Annotated[Timestamp, Field(description="Time of creation, UTC")]
    updated_at: Annotated[Timestamp, Field(description="Time of the last change of its status, UTC")]

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
    """Number of rendered frames, and of all frames."""

    frames: Annotated[int, Field(ge=0, description="Number of rendered frames", examples=[72])]
    of: Annotated[
        int, Field(ge=1, description="Number of frames of the whole video; of a dataset, its views", examples=[180])
    ]


class RenderDetail(RenderSummary):
    """A render with its progress and results."""

    model_id: ModelId
    file_size: Annotated[
        int | None, Field(ge=0, description="Size of the video in bytes; null until done", examples=[None])
    ]
    error_message: Annotated[
        str | None, Field(description="Reason for the failure, with status `error` or `failed`", examples=[None])
    ]
    has_web_variant: Annotated[bool, Field(description="Whether `/video?quality=web` is available", examples=[False])]
    progress: Annotated[Progress, Field(description="Number of rendered frames, and of all frames")]

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
    """The deleted render."""

    id: RenderId
    deleted: Annotated[Literal[True], Field(description="Always true")] = True
