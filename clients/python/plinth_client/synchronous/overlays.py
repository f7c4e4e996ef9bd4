# Made of plinth_client/asynchronous/ by clients/make_synchronous.py: change those files.
"""/v1/overlays: images behind or in front of renders."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from plinth_client import upload
from plinth_client.calls import present
from plinth_client.paging import MAX_PAGE_SIZE, Unseen, joined
from plinth_client.render_settings import Anchor, Layer, OverlaySort
from plinth_client.responses import Overlay, OverlayDetail, Page, from_json
from plinth_client.synchronous.transport import Transport


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
        with upload.open_source(file, None, on_progress) as content:
            data = self._api.request(
                "POST", "overlays", repeatable=content[1].seekable(), files={"file": content}, data=present(given)
            )
        return from_json(Overlay, data)

    def list(
        self,
        *,
        layer: Layer | None = None,
        sort: OverlaySort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[OverlayDetail]:
        """One page of overlays, newest first unless `sort` says otherwise.

        `q`: a text in name or description; `created_after`: a time with its time zone; `ids`: up to 100.
        """
        return self._api.page(
            OverlayDetail,
            "overlays",
            **{"layer": layer, "sort": sort, "q": q, "ids": joined(ids), "limit": limit, "offset": offset},
            createdAfter=created_after and created_after.isoformat(),
        )

    def list_all(
        self,
        *,
        layer: Layer | None = None,
        sort: OverlaySort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[OverlayDetail]:
        """All overlays, newest first unless `sort` says otherwise, fetched page by page."""
        unseen = Unseen[OverlayDetail]()
        while not unseen.is_over:
            page = self.list(
                layer=layer,
                sort=sort,
                q=q,
                created_after=created_after,
                limit=MAX_PAGE_SIZE,
                offset=unseen.offset,
            )
            yield from unseen.of(page)

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
        return from_json(OverlayDetail, self._api.request("PATCH", path))
