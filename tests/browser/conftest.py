"""A farm as its first start leaves it, and tabs of a real browser that look at it."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.farms import Farm, farm_up
from tests.support.tabs import Tab, chromium

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm_up(tmp_path_factory.mktemp("farm"), key="none", FARM_ENGINE="cycles", FARM_SIGN_UP="open") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its file, because as long as it runs, other tests of this process cannot start an event loop."""
    with chromium() as running:
        yield running


@pytest.fixture
def open_tab(farm: Farm, browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens a tab in a profile of its own. At the end no tab may have had an error or a request to another host."""
    tabs: list[Tab] = []

    def open_one(**options: object) -> Tab:
        tabs.append(Tab.open(browser, str(farm.client.base_url), **options))
        return tabs[-1]

    yield open_one
    faults = [fault for tab in tabs for fault in tab.faults]
    for tab in tabs:
        tab.page.context.close()
    assert faults == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """A tab of a new account."""
    return open_tab().sign_up(f"client{next(NUMBERS)}@studio.example")
