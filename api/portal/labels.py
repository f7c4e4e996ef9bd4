"""What pages call the values of render settings and statuses; the API's own values are beside them in forms."""

from typing import Any

from farm.db.tables import Render
from farm.orders import cameras
from farm.orders.dataset_size import fit
from farm.orders.effects import PATHS

QUALITIES = {"share": "Standard", "standard": "HD", "4k": "4K", "pro": "ProRes 4444"}
ENGINES = {
    "eevee": "EEVEE",
    "cycles": "Cycles",
    "cycles-optix": "Cycles by OptiX",
    "cycles-cuda": "Cycles by CUDA",
    "cycles-hip": "Cycles by HIP",
}
STATUSES = {
    "pending": "Waiting",
    "poster-processing": "Rendering",
    "poster-done": "Rendering",
    "video-processing": "Rendering",
    "done": "Done",
    "error": "Failed",
    "failed": "Dismissed",
}
# The filter of renders: groups of statuses.
GROUPS = {
    "done": ("Done", ["done"]),
    "progress": ("In progress", ["pending", "poster-processing", "poster-done", "video-processing"]),
    "error": ("Failed", ["error"]),
    "dismissed": ("Dismissed", ["failed"]),
}
SORTS = {
    "-createdAt": "Newest",
    "createdAt": "Oldest",
    "-updatedAt": "Last changed",
}


def effect(name: str) -> str:
    """The title of a camera path, or Dataset."""
    return "Dataset" if name == "dataset" else PATHS[name].title if name in PATHS else name


def quality(settings: dict[str, Any]) -> str:
    """The tier of a render, by its settings as stored."""
    if settings.get("output") == "dataset":
        views = cameras.count(settings.get("cameras")) or settings.get("views")
        size = fit(settings.get("datasetQuality"), views, settings.get("size"))
        return f"{size.views} views, {size.side} px"
    return QUALITIES.get(str(settings.get("quality")), str(settings.get("quality")))


def name(render: Render) -> str:
    """What a render is called: the title of its model, or the name of its file."""
    return render.model.title or render.model.original_name


def chip(status: str) -> str:
    """The style of a status."""
    return status if status in ("done", "error", "failed", "pending") else "working"
