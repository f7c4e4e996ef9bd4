"""/v1/overlays: images behind or in front of renders."""

from collections.abc import Iterator

from plinth_client import upload
from plinth_client.paging import MAX_PAGE_SIZE, list_all, page
from plinth_client.render_settings import Anchor, Layer
from plinth_client.responses import Overlay, OverlayDetail, Page, from_json
from plinth_client.transport import Transport


class Overlays:
    """The account's overlays and all published ones. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: Transport) -> None:
        self._api = transport

    def upload(
        self,
        file: upload.Source,
        *,
        layer: Layer = "background",
        name: str | None = None,
        description: str | None = None,
        alignment: Anchor = "top-left",
        on_progress: upload.Progress | None = None,
    ) -> Overlay:
        """Upload a PNG, JPEG or WebP of at most 10 MB; its id is the value of `bgImageId`, or `fgImageId`."""
        given = {"layer": layer, "name": name, "description": description, "alignment": alignment}
        fields = {field: value for field, value in given.items() if value is not None}
        with upload.open_source(file, None, on_progress) as content:
            response = self._api.request(
                "POST", "overlays", repeatable=content[1].seekable(), files={"file": content}, data=fields
            )
        return from_json(Overlay, response["data"])

    def list(self, *, layer: Layer | None = None, limit: int = 50, offset: int = 0) -> Page[OverlayDetail]:
        """One page of overlays, newest first."""
        return page(OverlayDetail, self._api.get("overlays", layer=layer, limit=limit, offset=offset))

    def list_all(self, *, layer: Layer | None = None) -> Iterator[OverlayDetail]:
        """All overlays, fetched page by page."""
        return list_all(lambda offset: self.list(layer=layer, limit=MAX_PAGE_SIZE, offset=offset))

    def publish(self, overlay_id: str) -> OverlayDetail:
        """Let every account use an overlay of your own. Admin accounts only."""
        return self._patch(f"overlays/{overlay_id}/publish")

    def unpublish(self, overlay_id: str) -> OverlayDetail:
        """Make a published overlay private again. Admin accounts only."""
        return self._patch(f"overlays/{overlay_id}/unpublish")

    def delete(self, overlay_id: str) -> None:
        """Delete an overlay of your own."""
        self._api.request("DELETE", f"overlays/{overlay_id}")

    def _patch(self, path: str) -> OverlayDetail:
        # Publishing twice changes nothing: safe to retry.
        return from_json(OverlayDetail, self._api.request("PATCH", path)["data"])
