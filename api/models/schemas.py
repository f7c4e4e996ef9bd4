"""Request and response bodies of models."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.envelope import ApiModel, Timestamp
from api.ids import ModelId, RenderId
from api.models.tags import Tags
from api.renders.schemas import RenderSettingsInput, RenderSummary
from api.text import NO_CONTROL_CHARACTERS
from farm.db.models import MAX_RENDERS_SHOWN, Detail
from farm.db.tables import Model
from farm.intake.fetch import MAX_URL_LENGTH
from farm.orders.render_settings import RenderSettings

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

ShortText = Annotated[str, Field(max_length=255), NO_CONTROL_CHARACTERS]


class Uploaded(ApiModel):
    """The model and render that an upload created."""

    model_id: ModelId
    render_id: RenderId
    duplicate: Annotated[
        Literal[True] | None, Field(description="Present, and true, when the account had uploaded this file before")
    ] = None


class IngestModel(ApiModel):
    """The URL of a model, and the settings of its render."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    url: Annotated[
        str,
        Field(
            description="http or https URL of a public host, without user name and password; at most 2048 characters",
            examples=["https://example.com/model.glb"],
            json_schema_extra={"maxLength": MAX_URL_LENGTH},
        ),
    ]
    render_settings: Annotated[
        RenderSettingsInput, Field(description="Settings of the render. Default: all defaults")
    ] = RenderSettings()


class UpdateModel(ApiModel):
    """Changes to a model. Fields that are not sent stay unchanged; null removes a title or a SKU."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    title: Annotated[
        ShortText | None,
        Field(
            description="Display name in place of the file's name, at most 255 characters", examples=["Ergonomic Chair"]
        ),
    ] = None
    sku: Annotated[
        ShortText | None, Field(description="Product code, at most 255 characters", examples=["EC-1001"])
    ] = None
    tags: Annotated[
        Tags,
        Field(
            description="Up to 20 tags of at most 64 characters, without commas; stored in lower case, once each",
            examples=[["furniture", "office"]],
            default_factory=list,
        ),
    ]


class CheckHash(ApiModel):
    """The hash of a file that the account may have uploaded."""

    sha256: Annotated[
        str, Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the file in hex, 64 digits", examples=[SHA256])
    ]


class HashChecked(ApiModel):
    """Whether the account has uploaded a file with this hash, and the id of its model."""

    exists: Annotated[bool, Field(description="Whether the account has a model with this file", examples=[True])]
    model_id: Annotated[
        ModelId | None, Field(description="The model's id, present when `exists` is true", examples=["Ab3kF9x2qL1m"])
    ] = None


class ModelItem(ApiModel):
    """A model in a list of models."""

    id: ModelId
    original_name: Annotated[str, Field(description="Name of the uploaded file", examples=["chair.glb"])]
    title: Annotated[
        str | None,
        Field(
            description="Display name in place of the file's name, at most 255 characters", examples=["Ergonomic Chair"]
        ),
    ]
    sku: Annotated[str | None, Field(description="Product code, at most 255 characters", examples=["EC-1001"])]
    tags: Annotated[
        list[str],
        Field(description="Up to 20 tags, in lower case, without duplicates", examples=[["furniture", "office"]]),
    ]
    archived: Annotated[
        bool, Field(description="Whether lists hide the model unless they include archived models", examples=[False])
    ]
    file_size: Annotated[
        int, Field(description="Size of the model's file in bytes; for a scan, of its GLB", ge=0, examples=[2457600])
    ]
    sha256: Annotated[
        str, Field(description="SHA-256 of the uploaded file in hex; for a scan, of the zip", examples=[SHA256])
    ]
    created_at: Annotated[Timestamp, Field(description="Time of the first upload, UTC")]

    @classmethod
    def from_row(cls, row: Model) -> Self:
        return cls(**cls._fields_of(row))

    @staticmethod
    def _fields_of(row: Model) -> dict[str, Any]:
        return {
            "id": row.id,
            "original_name": row.original_name,
            "title": row.title,
            "sku": row.sku,
            "tags": [tag.tag for tag in row.tags],
            "archived": row.archived_at is not None,
            "file_size": row.file_size,
            "sha256": row.sha256,
            "created_at": row.created_at,
        }


class ModelDetail(ModelItem):
    """A model with its renders, oldest first."""

    renders: Annotated[
        list[RenderSummary],
        Field(
            max_length=MAX_RENDERS_SHOWN,
            description=f"The newest renders of the model, up to {MAX_RENDERS_SHOWN} with the system preview, oldest "
            "first; `GET /v1/renders?model=` lists all",
        ),
    ]
    renders_total: Annotated[
        int, Field(ge=0, description="Number of all renders of the model, the system preview included", examples=[2])
    ]

    @classmethod
    def from_detail(cls, detail: Detail) -> Self:
        return cls(
            **cls._fields_of(detail.model),
            renders=[RenderSummary.from_row(render) for render in detail.renders],
            renders_total=detail.renders_total,
        )


class ModelDeleted(ApiModel):
    """The deleted model."""

    id: ModelId
    deleted: Annotated[Literal[True], Field(description="Always true")] = True
