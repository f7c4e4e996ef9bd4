"""Fixtures of the portal: browsers, logged in and not."""

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from tests.support.clients import Client
from tests.support.portal import Browser, set_password


@pytest.fixture
def guest(public_api: TestClient) -> Browser:
    """A browser that is not logged in."""
    return Browser(public_api.app)


@pytest.fixture
def browser(public_api: TestClient, database: Database, client: Client) -> Browser:
    """A browser that is logged in to the account of `client`."""
    set_password(database, client.account)
    return Browser(public_api.app).logged_in(client.account.email)


@pytest.fixture
def other_browser(public_api: TestClient, database: Database, stranger: Client) -> Browser:
    """A browser that is logged in to another account."""
    set_password(database, stranger.account)
    return Browser(public_api.app).logged_in(stranger.account.email)
