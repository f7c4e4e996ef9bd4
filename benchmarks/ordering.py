"""Orders videos and waits for them, for benchmarks that start their own workers."""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select

from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.orders.render_settings import RenderSettings
from farm.scheduling import submit
from farm.scheduling.doorbell import Doorbell, connect
from farm.settings import Settings
from farm.storage import open_storage

ASSET = Path("tests/assets/product.glb")


def forget_settings() -> None:
    """Remove the settings of the farm that this machine may belong to from the environment."""
    for name in [name for name in os.environ if name.startswith("FARM_")]:
        del os.environ[name]


def stored_model(database: Database, settings: Settings) -> Model:
    content = ASSET.read_bytes()
    with database.write() as db:
        account = accounts.create(db, "bench@example.com", credits_=100_000)
        model = Model(
            account_id=account.id, original_name=ASSET.name, format="glb", file_size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )  # fmt: skip
        db.add(model)
    open_storage(settings).put(model.storage_key, ASSET)
    return model


def seconds(database: Database, settings: Settings, model: Model, requests: Sequence[RenderSettings]) -> float:
    """Wall-clock seconds from the order of these videos until all are done."""
    doorbell = Doorbell(connect(settings.redis_url))
    began = time.monotonic()
    with database.write() as db:
        ordered = [submit.render(db, model, request, settings, doorbell).id for request in requests]
    while True:
        with database.read() as db:
            statuses = list(db.scalars(select(Render.status).where(Render.id.in_(ordered))))
        assert "error" not in statuses
        if set(statuses) == {"done"}:
            return time.monotonic() - began
        time.sleep(0.1)
