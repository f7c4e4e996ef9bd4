"""Types of ids in bodies, paths and queries, with their OpenAPI descriptions."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

_MODEL, _MODEL_EXAMPLE = "The model's id: 12 letters and digits", "Ab3kF9x2qL1m"
_RENDER, _RENDER_EXAMPLE = "The render's id: 12 letters and digits", "Xz7pQ4w8nR2k"
_OVERLAY, _OVERLAY_EXAMPLE = "The overlay's id for `bgImageId` or `fgImageId`: 12 letters and digits", "abc123DEF456"

AccountId = Annotated[str, Field(description="The account's id: 12 letters and digits", examples=["Hd6sW1y5tG8b"])]
ModelId = Annotated[str, Field(description=_MODEL, examples=[_MODEL_EXAMPLE])]
RenderId = Annotated[str, Field(description=_RENDER, examples=[_RENDER_EXAMPLE])]
OverlayId = Annotated[str, Field(description=_OVERLAY, examples=[_OVERLAY_EXAMPLE])]

ModelInPath = Annotated[str, Path(description=_MODEL, examples=[_MODEL_EXAMPLE])]
RenderInPath = Annotated[str, Path(description=_RENDER, examples=[_RENDER_EXAMPLE])]
OverlayInPath = Annotated[str, Path(description=_OVERLAY, examples=[_OVERLAY_EXAMPLE])]
