"""/v1/overlays: images behind or in front of renders."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from plinth_client import upload
from plinth_client.asynchronous.transport import AsyncTransport
from plinth_client.calls import present
from plinth_client.paging import MAX_PAGE_SIZE, Unseen, joined
from plinth_client.render_settings import Anchor, Layer, OverlaySort
from plinth_client.responses import Overlay, OverlayDetail, Page, from_json


class AsyncOverlays:
    """The account's overlays and all published ones. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._api = transport

    async def upload(
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
            data = await self._api.request(
                "POST", "overlays", repeatable=content[1].seekable(), files={"file": content}, data=present(given)
            )
        return from_json(Overlay, data)

    async def list(
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
        return await self._api.page(
            OverlayDetail,
            "overlays",
            **{"layer": layer, "sort": sort, "q": q, "ids": joined(ids), "limit": limit, "offset": offset},
            createdAfter=created_after and created_after.isoformat(),
        )

    async def list_all(
        self,
        *,
        layer: Layer | None = None,
        sort: OverlaySort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
    ) -> AsyncIterator[OverlayDetail]:
        """All overlays, newest first unless `sort` says otherwise, fetched page by page."""
        unseen = Unseen[OverlayDetail]()
        while not unseen.is_over:
            page = await self.list(
                layer=layer,
                sort=sort,
                q=q,
                created_after=created_after,
                limit=MAX_PAGE_SIZE,
                offset=unseen.offset,
            )
            for overlay in unseen.of(page):
                yield overlay

    async def publish(self, overlay_id: str) -> OverlayDetail:
        """Let every account use an overlay of your own. Admin accounts only."""
        return await self._patch(f"overlays/{overlay_id}/publish")

    async def unpublish(self, overlay_id: str) -> OverlayDetail:
        """Make a published overlay private again. Admin accounts only."""
        return await self._patch(f"overlays/{overlay_id}/unpublish")

    async def delete(self, overlay_id: str) -> None:
        """Delete an overlay of your own."""
        await self._api.request("DELETE", f"overlays/{overlay_id}")

    async def _patch(self, path: str) -> OverlayDetail:
        # Publishing twice changes nothing: safe to retry.
        return from_json(OverlayDetail, await self._api.request("PATCH", path))
