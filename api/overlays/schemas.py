"""Request and response bodies of overlays."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from api.envelope import ApiModel, Timestamp
from api.ids import OverlayId
from api.queries import ListQuery, SearchText
from api.text import NO_CONTROL_CHARACTERS
from farm.db.tables import Overlay
from farm.orders.render_settings import Anchor

Layer = Literal["background", "foreground"]

# Fields of responses.
LayerField = Annotated[
    Layer, Field(description="Position: behind the model or in front of it", examples=["background"])
]
AnchorField = Annotated[
    Anchor, Field(description="Side or corner that stays visible when the overlay is cropped", examples=["top-left"])
]
NameField = Annotated[str | None, Field(description="Display name, at most 100 characters", examples=["My Gradient"])]


class OverlayFields(ApiModel):
    """The form fields of an upload besides the file."""

    model_config = ConfigDict(extra="forbid")

    layer: Annotated[Layer, Field(description="Position: behind the model or in front of it")] = "background"
    name: Annotated[
        str,
        Field(max_length=100, description="Display name, at most 100 characters", examples=["My Gradient"]),
        NO_CONTROL_CHARACTERS,
    ] = ""
    description: Annotated[
        str, Field(max_length=500, description="Description, at most 500 characters"), NO_CONTROL_CHARACTERS
    ] = ""
    alignment: Annotated[
        Anchor,
        Field(description="Side or corner that stays visible when cropped to a video's aspect ratio"),
    ] = "top-left"


class OverlayQuery(ListQuery):
    """Which overlays to list."""

    layer: Annotated[Layer | None, Field(description="Only overlays of this layer")] = None
    q: Annotated[SearchText, Field(description="Only overlays with this text in name or description, in any case")] = ""
    sort: Annotated[
        Literal["createdAt", "-createdAt", "name", "-name"], Field(description="Order, descending with a minus")
    ] = "-createdAt"
    limit: Annotated[int, Field(ge=1, le=100, description="Maximum number of overlays to return, 1 to 100")] = 100


class OverlayCreated(ApiModel):
    """A newly uploaded overlay."""

    id: OverlayId
    layer: LayerField
    alignment: AnchorField
    name: NameField

    @classmethod
    def from_row(cls, row: Overlay) -> Self:
        return cls(id=row.id, layer=row.layer, alignment=row.alignment, name=row.name)


class OverlayDetail(ApiModel):
    """An overlay with its picture's properties."""

    id: OverlayId
    layer: LayerField
    alignment: AnchorField
    name: NameField
    description: Annotated[
        str | None, Field(description="Description, at most 500 characters", examples=["Grey, lighter above"])
    ]
    published: Annotated[bool, Field(description="Whether every account may use the overlay", examples=[False])]
    content_type: Annotated[
        str, Field(description="Content type of the stored image: JPEG or WebP", examples=["image/webp"])
    ]
    width: Annotated[int, Field(description="Width in pixels", ge=1, examples=[1920])]
    height: Annotated[int, Field(description="Height in pixels", ge=1, examples=[1080])]
    file_size: Annotated[int, Field(description="Size of the stored image in bytes", ge=1, examples=[48211])]
    created_at: Annotated[Timestamp, Field(description="Time of the upload, UTC")]

    @classmethod
    def from_row(cls, row: Overlay) -> Self:
        return cls(
            id=row.id,
            layer=row.layer,
            alignment=row.alignment,
            name=row.name,
            description=row.description,
            published=row.published,
            content_type=row.content_type,
            width=row.width,
            height=row.height,
            file_size=row.file_size,
            created_at=row.created_at,
        )


class OverlayDeleted(ApiModel):
    """The deleted overlay."""

    id: OverlayId
    deleted: Annotated[Literal[True], Field(description="Always true")] = True
