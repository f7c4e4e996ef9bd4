"""/v1/renders: create renders, wait for them, download their files."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from plinth_client.asynchronous.download import download
from plinth_client.asynchronous.transport import AsyncTransport
from plinth_client.calls import present
from plinth_client.errors import RenderFailed
from plinth_client.paging import MAX_PAGE_SIZE, Unseen, joined
from plinth_client.partial_files import Progress, Target
from plinth_client.polling import Polling
from plinth_client.render_settings import BatchItem, RenderSettings, RenderSort, Status
from plinth_client.responses import Page, QueuedRender, Render, from_json

OnRender = Callable[[Render], None]


class AsyncRenders:
    """The account's renders. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._api = transport

    async def create(
        self,
        model_id: str,
        render_settings: RenderSettings | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> QueuedRender:
        """Queue one render of a model. `metadata`: up to 20 texts of your own, by which the render is found again."""
        given = {"modelId": model_id, "renderSettings": render_settings, "metadata": metadata}
        return from_json(QueuedRender, await self._api.request("POST", "renders", json=present(given)))

    async def batch(self, renders: Sequence[BatchItem]) -> tuple[QueuedRender, ...]:
        """Queue up to 100 renders: all of them, or none if the credits do not suffice."""
        data = await self._api.request("POST", "renders/batch", json={"renders": [*renders]})
        return tuple(from_json(QueuedRender, item) for item in data)

    async def list(
        self,
        *,
        model_id: str | None = None,
        status: Status | Sequence[Status] | None = None,
        metadata: Mapping[str, str] | None = None,
        sort: RenderSort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Render]:
        """One page of renders, newest first unless `sort` says otherwise.

        `status`: one, or several; `metadata`: renders with all of these; `q`: a text in title, SKU, external id or file
        name of the model; `created_after`: a time with its time zone; `ids`: up to 100.
        """
        statuses = [status] if isinstance(status, str) else status
        return await self._api.page(
            Render,
            "renders",
            **{"modelId": model_id, "status": joined(statuses), "sort": sort, "q": q, "ids": joined(ids)},
            metadata=[f"{key}:{value}" for key, value in metadata.items()] if metadata else None,
            createdAfter=created_after and created_after.isoformat(),
            **{"limit": limit, "offset": offset},
        )

    async def list_all(
        self,
        *,
        model_id: str | None = None,
        status: Status | Sequence[Status] | None = None,
        metadata: Mapping[str, str] | None = None,
        sort: RenderSort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
    ) -> AsyncIterator[Render]:
        """All renders, newest first unless `sort` says otherwise, fetched page by page."""
        unseen = Unseen[Render]()
        while not unseen.is_over:
            page = await self.list(
                model_id=model_id,
                status=status,
                metadata=metadata,
                sort=sort,
                q=q,
                created_after=created_after,
                limit=MAX_PAGE_SIZE,
                offset=unseen.offset,
            )
            for render in unseen.of(page):
                yield render

    async def get(self, render_id: str) -> Render:
        """One render, with its progress."""
        return from_json(Render, await self._api.get(f"renders/{render_id}"))

    async def dismiss(self, render_id: str) -> Render:
        """Acknowledge a render's error; its status becomes `failed`."""
        # Dismissing twice changes nothing: safe to retry.
        return from_json(Render, await self._api.request("PATCH", f"renders/{render_id}/dismiss"))

    async def delete(self, render_id: str) -> None:
        """Delete a render and its files permanently."""
        await self._api.request("DELETE", f"renders/{render_id}")

    async def wait(
        self, render_id: str, *, on_progress: OnRender | None = None, timeout: float | None = None
    ) -> Render:
        """Poll until the render is done, and return it.

        `on_progress` is called with the render at every poll; the delay between polls grows while nothing changes.
        `timeout` in seconds. Raises RenderFailed with the render's error message, and WaitTimeout.
        """
        [render] = await self.wait_all([render_id], on_progress=on_progress, timeout=timeout)
        if render.status != "done":
            raise RenderFailed(render)
        return render

    async def wait_all(
        self, render_ids: Sequence[str], *, on_progress: OnRender | None = None, timeout: float | None = None
    ) -> tuple[Render, ...]:
        """Poll until every render is done or has failed, and return them in the given order.

        A poll is one request for up to 100 renders. `on_progress` and `timeout` are as in `wait`. A failed render
        raises nothing: its `status` and `error_message` tell. Raises NotFound if there is no such render, and
        WaitTimeout with the first render that is not over.
        """
        polling = Polling(render_ids, timeout)
        while polling.open_ids:
            for render in await self._states(polling.open_ids):
                polling.add(render)
                if on_progress:
                    on_progress(render)
            if polling.open_ids:
                await asyncio.sleep(polling.delay())
        return tuple(polling.latest[render_id] for render_id in render_ids)

    async def _states(self, render_ids: Sequence[str]) -> Sequence[Render]:
        if len(render_ids) == 1:
            return [await self.get(render_ids[0])]
        found: dict[str, Render] = {}
        for start in range(0, len(render_ids), MAX_PAGE_SIZE):
            page = await self.list(ids=render_ids[start : start + MAX_PAGE_SIZE], limit=MAX_PAGE_SIZE)
            found |= {render.id: render for render in page.items}
        # The farm refuses an id that its list left out.
        return [found.get(render_id) or await self.get(render_id) for render_id in render_ids]

    async def download_video(
        self,
        render_id: str,
        target: Target,
        *,
        quality: Literal["web"] | None = None,
        on_progress: Progress | None = None,
    ) -> Path:
        """Save the video as `target`; `quality="web"` is the smaller variant."""
        return await self._file(render_id, "video", target, on_progress, quality)

    async def download_poster(
        self,
        render_id: str,
        target: Target,
        *,
        quality: Literal["full"] | None = None,
        on_progress: Progress | None = None,
    ) -> Path:
        """Save the poster as `target`, a PNG: small, or with `quality="full"` at the size of the video."""
        return await self._file(render_id, "poster", target, on_progress, quality)

    async def download_thumb(self, render_id: str, target: Target, *, on_progress: Progress | None = None) -> Path:
        """Save the thumbnail as `target`: an MP4 at a quarter of the video's width and height."""
        return await self._file(render_id, "thumb", target, on_progress)

    async def download_thumb_still(
        self, render_id: str, target: Target, *, on_progress: Progress | None = None
    ) -> Path:
        """Save the poster as `target`: a JPEG at a quarter of the video's width and height."""
        return await self._file(render_id, "thumb.jpg", target, on_progress)

    async def download_bundle(self, render_id: str, target: Target, *, on_progress: Progress | None = None) -> Path:
        """Save all of the render's files as `target`, a zip."""
        return await self._file(render_id, "bundle", target, on_progress)

    async def _file(
        self,
        render_id: str,
        file: str,
        target: Target,
        on_progress: Progress | None,
        quality: str | None = None,
    ) -> Path:
        parameters = {"quality": quality} if quality else {}
        return await download(self._api, f"renders/{render_id}/{file}", target, on_progress, **parameters)
