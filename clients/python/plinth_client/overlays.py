"""/v1/overlays: images to put behind renders."""

from collections.abc import Iterator

from plinth_client import upload
from plinth_client.answers import Overlay, OverlayDetail, Page, read
from plinth_client.paging import MOST, every, page
from plinth_client.render_settings import Anchor, Layer
from plinth_client.transport import Transport


class Overlays:
    """The account's overlays, and those that the farm has published. Every call may raise PlinthError."""

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
        """Send a PNG, JPEG or WebP of at most 10 MB; its id goes into a render's `bgImageId`."""
        given = {"layer": layer, "name": name, "description": description, "alignment": alignment}
        fields = {field: value for field, value in given.items() if value is not None}
        with upload.opened(file, None, on_progress) as content:
            answer = self._api.ask("POST", "overlays", idempotent=False, files={"file": content}, data=fields)
        return read(Overlay, answer["data"])

    def list(self, *, layer: Layer | None = None, limit: int = 50, offset: int = 0) -> Page[OverlayDetail]:
        """One page of overlays, newest first."""
        return page(OverlayDetail, self._api.get("overlays", layer=layer, limit=limit, offset=offset))

    def every(self, *, layer: Layer | None = None) -> Iterator[OverlayDetail]:
        """All overlays, fetched page by page."""
        return every(lambda offset: self.list(layer=layer, limit=MOST, offset=offset))

    def publish(self, overlay_id: str) -> OverlayDetail:
        """Admin accounts only: let every account use an overlay of one's own."""
        return self._patched(f"overlays/{overlay_id}/publish")

    def unpublish(self, overlay_id: str) -> OverlayDetail:
        """Admin accounts only: keep it to oneself again."""
        return self._patched(f"overlays/{overlay_id}/unpublish")

    def delete(self, overlay_id: str) -> None:
        """Delete an overlay of one's own."""
        self._api.ask("DELETE", f"overlays/{overlay_id}", idempotent=False)

    def _patched(self, path: str) -> OverlayDetail:
        # Publishing twice changes nothing, so a second try does no harm.
        return read(OverlayDetail, self._api.ask("PATCH", path, idempotent=True)["data"])
