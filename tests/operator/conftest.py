"""Fixtures of the operator's pages: a browser of an admin account, and a node."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Account
from farm.nodes import registry
from farm.nodes.facts import Facts
from tests.support.portal import Browser, browser_of


@pytest.fixture
def admin(database: Database) -> Account:
    with database.write() as db:
        return accounts.create(db, "boss@example.com", admin=True)


@pytest.fixture
def operator(public_api: TestClient, database: Database, admin: Account) -> Browser:
    """A browser that is logged in to an admin account."""
    return browser_of(public_api.app, database, admin)


@pytest.fixture
def node(database: Database, gpu: Facts) -> str:
    """The name of a node that is alive."""
    registry.join(database, replace(gpu, name="box"))
    return "box"
