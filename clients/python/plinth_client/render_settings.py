"""Types of request bodies, spelled as in the API's JSON."""

from typing import Any, Literal, TypedDict

Quality = Literal["share", "standard", "4k", "pro"]
Status = Literal["pending", "poster-processing", "poster-done", "video-processing", "done", "error", "failed"]
Layer = Literal["background", "foreground"]
Anchor = Literal[
    "top-left", "top-center", "top-right",
    "center-left", "center", "center-right",
    "bottom-left", "bottom-center", "bottom-right",
]  # fmt: skip
DatasetQuality = Literal["100x800", "196x1024", "400x2048"]
DatasetFormat = Literal["nerfstudio", "colmap", "nerf-synthetic", "rgba", "metric-depth", "downscaled", "all"]

ModelSort = Literal["createdAt", "-createdAt", "title", "-title"]
RenderSort = Literal["createdAt", "-createdAt", "updatedAt", "-updatedAt"]
OverlaySort = Literal["createdAt", "-createdAt", "name", "-name"]


class RenderSettings(TypedDict, total=False):
    """The settings of one render; fields that are left out have the defaults of the API reference.

    Angles in degrees, `length` in seconds; `cameras` are 4x4 matrices or the content of a
    transforms.json. A farm may have more effects than the reference.
    """

    quality: Quality
    effect: str
    sweepAngle: float
    easeOutRatio: float
    amplitude: float
    zoomStart: float
    zoomEnd: float
    scaleFrom: float
    vignette: float
    aspect: Literal["16:9", "1:1", "9:16"]
    bgColor: str
    bgImageId: str
    fgImageId: str
    bgAlign: Anchor
    length: float
    animation: str
    animationSpeed: float
    shadows: bool
    reflector: bool
    easing: bool
    rotateY: int
    tiltX: int
    panX: int
    rollZ: int
    zoom: float
    scene: str
    output: Literal["video", "dataset"]
    datasetQuality: DatasetQuality
    coverage: Literal["hemisphere", "sphere"]
    formats: list[DatasetFormat]
    views: int
    size: int
    elevations: list[float]
    radius: float
    split: int
    cameras: list[list[list[float]]] | dict[str, Any]


class BatchItem(TypedDict, total=False):
    """One render of a batch; `modelId` is required."""

    modelId: str
    renderSettings: RenderSettings
    metadata: dict[str, str]
