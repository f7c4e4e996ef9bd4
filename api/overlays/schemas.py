"""Overlays as they cross HTTP."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from api.envelope import Moment, Wire
from api.text import PLAIN
from farm.db.tables import Overlay
from farm.render_settings import Anchor

Layer = Literal["background", "foreground"]
EXAMPLE = "abc123DEF456"


class OverlayFields(Wire):
    """What is sent beside the file."""

    model_config = ConfigDict(extra="forbid")

    layer: Annotated[Layer, Field(description="Whether it lies behind or before the model")] = "background"
    name: Annotated[str | None, PLAIN, Field(max_length=100, description="Display name", examples=["My Gradient"])] = (
        None
    )
    description: Annotated[
        Annotated[str, Field(max_length=500), PLAIN] | None, Field(description="What to know about it")
    ] = None
    alignment: Annotated[
        Anchor, Field(description="What stays in sight when it is cropped to the shape of a video")
    ] = "top-left"


class OverlayCreated(Wire):
    """An overlay that can be used from now on."""

    id: Annotated[str, Field(description="To be sent as `bgImageId`", examples=[EXAMPLE])]
    layer: Layer
    alignment: Anchor
    name: str | None

    @classmethod
    def from_row(cls, row: Overlay) -> Self:
        return cls(id=row.id, layer=row.layer, alignment=row.alignment, name=row.name)


class OverlayDetail(Wire):
    """An overlay in a list."""

    id: Annotated[str, Field(examples=[EXAMPLE])]
    layer: Layer
    alignment: Anchor
    name: str | None
    description: str | None
    published: Annotated[bool, Field(description="Whether it is a system overlay, which every account may use")]
    content_type: Annotated[str, Field(examples=["image/png"])]
    width: Annotated[int, Field(description="Pixels", ge=1)]
    height: Annotated[int, Field(description="Pixels", ge=1)]
    file_size: Annotated[int, Field(description="Bytes of the picture as it is kept", ge=1)]
    created_at: Moment

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


class OverlayDeleted(Wire):
    """The id of an overlay that is no more."""

    id: Annotated[str, Field(examples=[EXAMPLE])]
    deleted: Literal[True] = True
