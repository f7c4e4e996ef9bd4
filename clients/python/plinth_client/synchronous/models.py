# Made of plinth_client/asynchronous/ by clients/make_synchronous.py: change those files.
"""/v1/models: uploaded models."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

from plinth_client import upload
from plinth_client.blocking import directly
from plinth_client.calls import present
from plinth_client.paging import MAX_PAGE_SIZE, Unseen, flag, joined
from plinth_client.partial_files import Progress, Target
from plinth_client.render_settings import ModelSort, RenderSettings
from plinth_client.responses import HashCheck, Model, ModelDetail, Page, Upload, from_json
from plinth_client.synchronous.download import download
from plinth_client.synchronous.transport import Transport


class Models:
    """The account's models. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: Transport) -> None:
        self._api = transport

    def upload(
        self,
        file: upload.Source,
        render_settings: RenderSettings | None = None,
        *,
        name: str | None = None,
        title: str | None = None,
        sku: str | None = None,
        external_id: str | None = None,
        tags: Sequence[str] | None = None,
        on_progress: upload.Progress | None = None,
    ) -> Upload:
        """Upload a .glb, a self-contained .gltf or a .zip with an OBJ scan, and queue a render of it.

        `file` is a path, or a file open for reading bytes whose `name` has the right suffix. `on_progress` is called
        with the bytes sent and the total. A file that the account already has gets another render of that model, which
        gets the given title, SKU, external id and tags.
        """
        given = {
            "renderSettings": None if render_settings is None else json.dumps(render_settings),
            **{"title": title, "sku": sku, "externalId": external_id},
            "tags": None if tags is None else ",".join(tags),
        }
        with upload.open_source(file, name, on_progress) as content:
            data = self._api.request(
                "POST", "models", repeatable=content[1].seekable(), files={"file": content}, data=present(given)
            )
        return from_json(Upload, data)

    def ingest(
        self,
        url: str,
        render_settings: RenderSettings | None = None,
        *,
        title: str | None = None,
        sku: str | None = None,
        external_id: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Upload:
        """Let the server download a .glb or .gltf from a public URL, and queue a render of it."""
        given = {
            **{"url": url, "renderSettings": render_settings, "title": title, "sku": sku, "externalId": external_id},
            "tags": None if tags is None else [*tags],
        }
        # The server may take two minutes for the download.
        data = self._api.request("POST", "models/ingest", json=present(given), timeout=150)
        return from_json(Upload, data)

    def list(
        self,
        *,
        tags: Sequence[str] | None = None,
        archived: bool | None = None,
        external_id: str | None = None,
        sort: ModelSort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Model]:
        """One page of models, newest first unless `sort` says otherwise.

        `tags`: models with any of these; `archived`: include archived models; `q`: a text in title, SKU, external id or
        file name; `created_after`: a time with its time zone; `ids`: up to 100.
        """
        return self._api.page(
            Model,
            "models",
            **{"limit": limit, "offset": offset, "tags": joined(tags), "archived": flag(archived)},
            **{"externalId": external_id, "sort": sort, "q": q},
            **{"createdAfter": created_after and created_after.isoformat(), "ids": joined(ids)},
        )

    def list_all(
        self,
        *,
        tags: Sequence[str] | None = None,
        archived: bool | None = None,
        external_id: str | None = None,
        sort: ModelSort | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[Model]:
        """All models, newest first unless `sort` says otherwise, fetched page by page."""
        unseen = Unseen[Model]()
        while not unseen.is_over:
            page = self.list(
                tags=tags,
                archived=archived,
                external_id=external_id,
                sort=sort,
                q=q,
                created_after=created_after,
                limit=MAX_PAGE_SIZE,
                offset=unseen.offset,
            )
            yield from unseen.of(page)

    def get(self, model_id: str) -> ModelDetail:
        """One model with its system preview and its newest renders, up to 100."""
        return from_json(ModelDetail, self._api.get(f"models/{model_id}"))

    def update(
        self,
        model_id: str,
        *,
        title: str | None = None,
        sku: str | None = None,
        external_id: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Model:
        """Change the given fields only. "" removes a title, a SKU or an external id, [] all tags."""
        given = {"title": title, "sku": sku, "externalId": external_id, "tags": None if tags is None else [*tags]}
        return self._patch(f"models/{model_id}", json=present(given))

    def archive(self, model_id: str) -> Model:
        """Hide the model from lists."""
        return self._patch(f"models/{model_id}/archive")

    def unarchive(self, model_id: str) -> Model:
        """Show an archived model in lists again."""
        return self._patch(f"models/{model_id}/unarchive")

    def delete(self, model_id: str) -> None:
        """Delete the model. Its renders stay until they are deleted themselves."""
        self._api.request("DELETE", f"models/{model_id}")

    def check_hash(self, sha256: str) -> HashCheck:
        """Check whether the account has a file with this SHA-256, in hex."""
        data = self._api.request("POST", "models/check-hash", json={"sha256": sha256})
        return from_json(HashCheck, data)

    def check_file(self, path: str | PathLike[str]) -> HashCheck:
        """Check whether the account has this file."""
        return self.check_hash(directly(upload.sha256_of, Path(path)))

    def download(self, model_id: str, target: Target, *, on_progress: Progress | None = None) -> Path:
        """Save the model's file as `target`, which may be resumed; `on_progress` gets its bytes and the total."""
        return download(self._api, f"models/{model_id}/file", target, on_progress)

    def _patch(self, path: str, **request: Any) -> Model:
        # Setting the same values twice changes nothing: safe to retry.
        return from_json(Model, self._api.request("PATCH", path, **request))
