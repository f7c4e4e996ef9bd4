"""Request and response bodies of renders."""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.envelope import ApiModel, Timestamp
from api.ids import ModelId, RenderId
from api.queries import MAX_TEXT_LENGTH, SPLIT, ListQuery, SearchText
from api.text import NO_CONTROL_CHARACTERS
from farm.db.renders import Detail
from farm.db.tables import Render
from farm.errors import InvalidSettings
from farm.ids import LENGTH
from farm.orders.render_settings import RenderSettings, parse

MAX_BATCH_SIZE = 100

Status = Literal["pending", "poster-processing", "poster-done", "video-processing", "done", "error", "failed"]

STATUSES: tuple[Status, ...] = get_args(Status)

# Fields of responses.
MetadataField = Annotated[
    dict[str, str], Field(description="The metadata that the order had", examples=[{"order": "4711"}])
]
StatusField = Annotated[Status, Field(description="Stage of the render", examples=["pending"])]
SettingsField = Annotated[
    RenderSettings, Field(description="The requested settings, defaults included; lists leave out `cameras`")
]
CAMERAS_IN_LIST = {"__all__": {"render_settings": {"cameras"}}}  # a thousand of them are 300 kB, in each render


def _parse(raw: Any) -> RenderSettings:
    # As a pydantic error, so that its location in the body is known; the message of `parse` names the field below that.
    try:
        return parse(raw)
    except InvalidSettings as error:
        raise PydanticCustomError(InvalidSettings.code, "{message}", {"message": error.message}) from error


RenderSettingsInput = Annotated[RenderSettings, BeforeValidator(_parse)]


def _key(text: str) -> str:
    if not METADATA_KEY.fullmatch(text):
        raise PydanticCustomError("metadata", "must be a key of 1 to 64 letters, digits, and the characters _ . -")
    return text


def _pair(text: str) -> str:
    key, colon, value = text.partition(":")
    if not colon or not METADATA_KEY.fullmatch(key) or len(value) > MAX_TEXT_LENGTH:
        raise PydanticCustomError("metadata", "must have the form key:value, such as order:4711")
    return text


METADATA_KEY = re.compile("[A-Za-z0-9_.-]{1,64}")
MAX_METADATA = 20
METADATA = (
    f"The client's own data: up to {MAX_METADATA} texts of at most {MAX_TEXT_LENGTH} characters, by keys of at most 64 "
    "letters, digits, and the characters _ . -"
)
MetadataPair = Annotated[
    str,
    NO_CONTROL_CHARACTERS,
    AfterValidator(_pair),
    WithJsonSchema({"type": "string", "pattern": f"^{METADATA_KEY.pattern}:[ -~]{{0,{MAX_TEXT_LENGTH}}}$"}),
]
MetadataKey = Annotated[
    str, AfterValidator(_key), WithJsonSchema({"type": "string", "pattern": f"^{METADATA_KEY.pattern}$"})
]
Metadata = Annotated[
    dict[MetadataKey, Annotated[str, Field(max_length=MAX_TEXT_LENGTH), NO_CONTROL_CHARACTERS]],
    Field(max_length=MAX_METADATA, json_schema_extra={"additionalProperties": False}),  # beside those of the pattern
]


class CreateRender(ApiModel):
    """One render of a model."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    model_id: ModelId
    render_settings: Annotated[
        RenderSettingsInput, Field(description="Settings of the render. Default: all defaults")
    ] = RenderSettings()
    metadata: Annotated[Metadata, Field(description=METADATA, examples=[{"order": "4711"}])] = {}  # noqa: RUF012


class CreateBatch(ApiModel):
    """Several renders, of one model or of several."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    renders: Annotated[
        list[CreateRender], Field(min_length=1, max_length=MAX_BATCH_SIZE, description=f"1 to {MAX_BATCH_SIZE} renders")
    ]


NOT_EMPTY = BeforeValidator(lambda texts: [text for text in texts if text])  # `metadata=` stands for no pair


class RenderQuery(ListQuery):
    """Which renders to list."""

    model: Annotated[str | None, Field(max_length=LENGTH, description="Only renders of the model with this id")] = None
    model_id: Annotated[str | None, Field(max_length=LENGTH, description="The same as `model`")] = None
    status: Annotated[
        list[Status], SPLIT, Field(max_length=len(STATUSES), description="Only these statuses; separated by commas")
    ] = []  # noqa: RUF012
    metadata: Annotated[
        list[MetadataPair],
        NOT_EMPTY,
        Field(max_length=MAX_METADATA, description="Only renders with this metadata, key:value; may be repeated"),
    ] = []  # noqa: RUF012
    q: Annotated[
        SearchText,
        Field(description="Only renders of models with this text in title, SKU, external id or file name, in any case"),
    ] = ""
    sort: Annotated[
        Literal["createdAt", "-createdAt", "updatedAt", "-updatedAt"],
        Field(description="Order, descending with a minus"),
    ] = "-createdAt"

    @property
    def models(self) -> list[str]:
        """The ids of models that were asked for, by either name: a render has all of them."""
        return [id_ for id_ in (self.model, self.model_id) if id_ is not None]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The requested metadata, keys and values."""
        return [(key, value) for key, _, value in (pair.partition(":") for pair in self.metadata)]


class RenderQueued(ApiModel):
    """A queued render of a batch."""

    id: RenderId
    model_id: ModelId
    status: StatusField
    metadata: MetadataField

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(id=row.id, model_id=row.model_id, status=row.status, metadata=row.client_metadata)


class RenderCreated(RenderQueued):
    """A queued render."""

    render_settings: SettingsField

    @classmethod
    def from_row(cls, row: Render) -> Self:
        return cls(
            id=row.id,
            model_id=row.model_id,
            status=row.status,
            metadata=row.client_metadata,
            render_settings=parse(row.settings),
        )


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
    metadata: MetadataField
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
            "metadata": row.client_metadata,
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
