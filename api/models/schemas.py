"""Request and response bodies of models."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from api.envelope import ApiModel, Timestamp
from api.ids import ModelId, RenderId
from api.models.tags import QUERY_PATTERN, Tags, split
from api.multipart import MAX_NAME_LENGTH
from api.queries import MAX_TEXT_LENGTH, ListQuery, SearchText
from api.renders.schemas import RenderSettingsInput, RenderSummary
from api.text import NO_CONTROL_CHARACTERS
from api.validation_messages import explain
from farm.db.models import MAX_RENDERS_SHOWN, Detail
from farm.db.tables import Model
from farm.errors import InvalidRequest
from farm.intake.fetch import MAX_URL_LENGTH
from farm.orders.render_settings import RenderSettings

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

TITLE = "Display name in place of the file's name, at most 255 characters"
SKU = "Product code, at most 255 characters"
EXTERNAL_ID = "The client's own id of the model, at most 256 characters; need not be unique"

ShortText = Annotated[str, Field(max_length=MAX_NAME_LENGTH), NO_CONTROL_CHARACTERS]
ExternalId = Annotated[str, Field(max_length=MAX_TEXT_LENGTH), NO_CONTROL_CHARACTERS]


class Uploaded(ApiModel):
    """The model and render that an upload created."""

    model_id: ModelId
    render_id: RenderId
    duplicate: Annotated[
        Literal[True] | None,
        Field(description="Present, and true, when the account had uploaded this file before"),
        WithJsonSchema({"type": "boolean", "const": True}),
    ] = None


class ModelFields(ApiModel):
    """The fields of a model that its owner chooses."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    title: Annotated[ShortText | None, Field(description=TITLE, examples=["Ergonomic Chair"])] = None
    sku: Annotated[ShortText | None, Field(description=SKU, examples=["EC-1001"])] = None
    external_id: Annotated[ExternalId | None, Field(description=EXTERNAL_ID, examples=["shop-4711"])] = None
    tags: Annotated[
        Tags,
        Field(
            description="Up to 20 tags of at most 64 characters, without commas; stored in lower case, once each",
            examples=[["furniture", "office"]],
            default_factory=list,
        ),
    ]

    @classmethod
    def from_form(cls, texts: Mapping[str, str]) -> "ModelFields":
        """From the texts of a form, which may have other fields, too. Raises InvalidRequest."""
        sent: dict[str, Any] = {name: text for name, text in texts.items() if name in FORM_FIELDS}
        if "tags" in sent:
            sent["tags"] = split(sent["tags"])
        try:
            return cls.model_validate(sent, by_alias=True, by_name=False)
        except ValidationError as error:
            raise InvalidRequest(explain(error.errors()[0])) from error


# The JSON schemas of the same fields in a form, where each is a text.
FORM_FIELDS: dict[str, dict[str, Any]] = {
    "title": {"type": "string", "maxLength": MAX_NAME_LENGTH, "description": TITLE},
    "sku": {"type": "string", "maxLength": MAX_NAME_LENGTH, "description": SKU},
    "externalId": {"type": "string", "maxLength": MAX_TEXT_LENGTH, "description": EXTERNAL_ID},
    "tags": {"type": "string", "pattern": QUERY_PATTERN, "description": "Up to 20 tags, separated by commas"},
}
for _name in ("title", "sku", "externalId"):
    FORM_FIELDS[_name]["pattern"] = NO_CONTROL_CHARACTERS.pattern


class IngestModel(ModelFields):
    """The URL of a model, and the settings of its render."""

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


class UpdateModel(ModelFields):
    """Changes to a model. Fields that are not sent stay unchanged; null removes a title, a SKU or an external id."""


class ModelQuery(ListQuery):
    """Which models to list."""

    tags: Annotated[
        str,
        Field(
            description="Only models with at least one of these tags, up to 20; separated by commas",
            examples=["furniture,office"],
            json_schema_extra={"pattern": QUERY_PATTERN},
        ),
    ] = ""
    q: Annotated[
        SearchText,
        Field(description="Only models with this text in title, SKU, external id or file name, in any case"),
    ] = ""
    external_id: Annotated[ExternalId | None, Field(description="Only models with this external id")] = None
    archived: Annotated[bool, Field(description="Include archived models")] = False
    sort: Annotated[
        Literal["createdAt", "-createdAt", "title", "-title"],
        Field(description="Order, descending with a minus; a model without a title counts by its file's name"),
    ] = "-createdAt"


class CheckHash(ApiModel):
    """The hash of a file that the account may have uploaded."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

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
    """An uploaded model."""

    id: ModelId
    original_name: Annotated[str, Field(description="Name of the uploaded file", examples=["chair.glb"])]
    title: Annotated[str | None, Field(description=TITLE, examples=["Ergonomic Chair"])]
    sku: Annotated[str | None, Field(description=SKU, examples=["EC-1001"])]
    external_id: Annotated[str | None, Field(description=EXTERNAL_ID, examples=["shop-4711"])]
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
            "external_id": row.external_id,
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
