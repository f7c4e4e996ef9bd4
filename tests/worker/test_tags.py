"""A real worker takes the work of accounts that are bound to its tag, and leaves that of others alone."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from farm.accounts import accounts
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Account, Render, now
from farm.nodes import facts, registry
from farm.rendering.engine import Choice
from farm.settings import Settings
from tests.support.clients import Client
from tests.support.nodes import CARD
from tests.support.polling import until
from tests.support.workers import SMALL, StartWorker, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]


@pytest.fixture(autouse=True)
def gpu_without_the_tag(database: Database) -> None:
    """A node with a GPU that lives as long as the test, and takes no work."""
    registry.join(database, facts.gather("gpu", ["big"], Choice("eevee"), CARD, database, Settings()))
    with database.write() as db:
        nodes.named(db, "gpu").seen_at = now() + timedelta(hours=1)


def test_draws_for_a_bound_account_without_a_wake_up(
    start_worker: StartWorker, database: Database, api: TestClient, client: Client, redis: Redis
) -> None:
    with database.write() as db:
        accounts.bind(db, db.get_one(Account, client.account.id), "studio")
    render = upload(api, "draco.glb", length=3, shadows=False)
    redis.flushall()  # as if another node had got the wake-up
    start_worker("--name", "one", "--tags", "studio")

    def is_done() -> bool:
        with database.read() as db:
            return db.get_one(Render, render).status == "done"

    until(is_done)
    with database.read() as db:
        assert db.get_one(Render, render).shot.engine == "cycles", "the node without a GPU has drawn it"
    until(lambda: state(database, "one") == "idle")
