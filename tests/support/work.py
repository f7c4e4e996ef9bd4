"""A model and its render, as an upload leaves them."""

import pytest
from redis import Redis

from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.orders.render_settings import RenderSettings
from farm.scheduling import submit
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from tests.support.clients import Client


@pytest.fixture
def model(database: Database, client: Client) -> Model:
    with database.write() as db:
        model = Model(account_id=client.account.id, original_name="a.glb", format="glb", file_size=1, sha256="0" * 64)
        db.add(model)
    return model


@pytest.fixture
def doorbell(redis: Redis) -> Doorbell:
    return Doorbell(redis)


@pytest.fixture
def render(database: Database, model: Model, settings: Settings, doorbell: Doorbell) -> Render:
    with database.write() as db:
        return submit.render(db, model, RenderSettings(), settings, doorbell)
