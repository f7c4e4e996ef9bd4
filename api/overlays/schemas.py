"""Overlays as they cross HTTP."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from api.envelope import ApiModel, Timestamp
from api.ids import OverlayId
from api.text import NO_CONTROL_CHARACTERS
from farm.db.tables import Overlay
from farm.orders.render_settings import Anchor

Layer = Literal["background", "foreground"]

# What an answer tells of an overlay.
LayerField = Annotated[Layer, Field(description="Whether it lies behind or before the model", examples=["background"])]
AnchorField = Annotated[Anchor, Field(description="What stays in sight when it is cropped", examples=["top-left"])]
NameField = Annotated[str | None, Field(description="Display name, at most 100 characters", examples=["My Gradient"])]


class OverlayFields(ApiModel):
    """What is sent beside the file."""

    model_config = ConfigDict(extra="forbid")

    layer: Annotated[Layer, Field(description="Whether it lies behind or before the model")] = "background"
    name: Annotated[
        str,
        Field(max_length=100, description="Display name, at most 100 characters", examples=["My Gradient"]),
        NO_CONTROL_CHARACTERS,
    ] = ""
    description: Annotated[
        str, Field(max_length=500, description="What to know about it, at most 500 characters"), NO_CONTROL_CHARACTERS
    ] = ""
    alignment: Annotated[
        Anchor, Field(description="What stays in sight when it is cropped to the shape of a video")
    ] = "top-left"


class OverlayCreated(ApiModel):
    """An overlay that can be used from now on."""

    id: OverlayId
    layer: LayerField
    alignment: AnchorField
    name: NameField

    @classmethod
    def from_row(cls, row: Overlay) -> Self:
        return cls(id=row.id, layer=row.layer, alignment=row.alignment, name=row.name)


class OverlayDetail(ApiModel):
    """An overlay in a list."""

    id: OverlayId
    layer: LayerField
    alignment: AnchorField
    name: NameField
    description: Annotated[
        str | None, Field(description="What to know about it, at most 500 characters", examples=["Grey, lighter above"])
    ]
    published: Annotated[
        bool, Field(description="Whether it is a system overlay, which every account may use", examples=[False])
    ]
    content_type: Annotated[str, Field(description="Of the picture as it is kept: PNG or JPEG", examples=["image/png"])]
    width: Annotated[int, Field(description="Width in pixels", ge=1, examples=[1920])]
    height: Annotated[int, Field(description="Height in pixels", ge=1, examples=[1080])]
    file_size: Annotated[int, Field(description="Bytes of the picture as it is kept", ge=1, examples=[48211])]
    created_at: Annotated[Timestamp, Field(description="When it was uploaded, UTC")]

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
    """The id of an overlay that is no more."""

    id: OverlayId
    deleted: Annotated[Literal[True], Field(description="Always true")] = True
