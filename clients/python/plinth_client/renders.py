"""/v1/renders: order renders, wait for them, fetch their files."""

import time
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from plinth_client import download
from plinth_client.errors import RenderFailed, WaitTimeout
from plinth_client.paging import MAX_PAGE_SIZE, list_all, page
from plinth_client.render_settings import BatchItem, RenderSettings, Status
from plinth_client.responses import Page, QueuedRender, Render, from_json
from plinth_client.transport import Transport

MIN_POLL_SECONDS, MAX_POLL_SECONDS, POLL_GROWTH = 0.5, 10.0, 1.5  # seconds between two looks at a render
Target = str | PathLike[str]
OnRender = Callable[[Render], None]


class Renders:
    """The account's renders. Every call raises PlinthError of one kind or another."""

    def __init__(self, transport: Transport) -> None:
        self._api = transport

    def create(self, model_id: str, render_settings: RenderSettings | None = None) -> QueuedRender:
        """Queue one render of a model."""
        body: dict[str, Any] = {"modelId": model_id}
        if render_settings is not None:
            body["renderSettings"] = render_settings
        return from_json(QueuedRender, self._api.request("POST", "renders", idempotent=False, json=body)["data"])

    def batch(self, renders: Sequence[BatchItem]) -> tuple[QueuedRender, ...]:
        """Queue up to 100 renders: all of them, or none where there are too few credits."""
        response = self._api.request("POST", "renders/batch", idempotent=False, json={"renders": [*renders]})
        return tuple(from_json(QueuedRender, item) for item in response["data"])

    def list(
        self, *, model_id: str | None = None, status: Status | None = None, limit: int = 50, offset: int = 0
    ) -> Page[Render]:
        """One page of renders, newest first."""
        return page(Render, self._api.get("renders", model=model_id, status=status, limit=limit, offset=offset))

    def list_all(self, *, model_id: str | None = None, status: Status | None = None) -> Iterator[Render]:
        """All renders, fetched page by page."""
        return list_all(lambda offset: self.list(model_id=model_id, status=status, limit=MAX_PAGE_SIZE, offset=offset))

    def get(self, render_id: str) -> Render:
        """One render, with its progress."""
        return from_json(Render, self._api.get(f"renders/{render_id}")["data"])

    def dismiss(self, render_id: str) -> Render:
        """Acknowledge a render's error; its status becomes `failed`."""
        # Dismissing twice changes nothing, so a second try does no harm.
        return from_json(Render, self._api.request("PATCH", f"renders/{render_id}/dismiss", idempotent=True)["data"])

    def delete(self, render_id: str) -> None:
        """Delete a render and its files for good."""
        self._api.request("DELETE", f"renders/{render_id}", idempotent=False)

    def wait(self, render_id: str, *, on_progress: OnRender | None = None, timeout: float | None = None) -> Render:
        """The render, once it is done. `on_progress` gets it at every look, `timeout` is in seconds.

        The pauses between looks grow while nothing changes. Raises RenderFailed with the render's own message, and
        WaitTimeout.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, before = MIN_POLL_SECONDS, None
        while True:
            render = self.get(render_id)
            if on_progress:
                on_progress(render)
            if render.status == "done":
                return render
            if render.status in ("error", "failed"):
                raise RenderFailed(render)
            seen = render.status, render.progress
            pause = MIN_POLL_SECONDS if seen != before else min(pause * POLL_GROWTH, MAX_POLL_SECONDS)
            before = seen
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(render, timeout or 0)
                pause = min(pause, left)
            time.sleep(pause)

    def download_video(
        self,
        render_id: str,
        target: Target,
        *,
        quality: Literal["web"] | None = None,
        on_progress: download.Progress | None = None,
    ) -> Path:
        """Save the video as `target`; `quality="web"` is the lighter variant. See `plinth_client.download`."""
        return self._file(render_id, "video", target, on_progress, quality)

    def download_poster(
        self,
        render_id: str,
        target: Target,
        *,
        quality: Literal["full"] | None = None,
        on_progress: download.Progress | None = None,
    ) -> Path:
        """Save the first frame as `target`, a PNG: small, or with `quality="full"` at the video's own size."""
        return self._file(render_id, "poster", target, on_progress, quality)

    def download_thumb(self, render_id: str, target: Target, *, on_progress: download.Progress | None = None) -> Path:
        """Save the video at a quarter of each side as `target`, an MP4."""
        return self._file(render_id, "thumb", target, on_progress)

    def download_bundle(self, render_id: str, target: Target, *, on_progress: download.Progress | None = None) -> Path:
        """Save all of the render's files as `target`, a zip."""
        return self._file(render_id, "bundle", target, on_progress)

    def _file(
        self,
        render_id: str,
        what: str,
        target: Target,
        on_progress: download.Progress | None,
        quality: str | None = None,
    ) -> Path:
        render_settings = {"quality": quality} if quality else {}
        return download.download(self._api, f"renders/{render_id}/{what}", target, on_progress, **render_settings)
