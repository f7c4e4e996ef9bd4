"""What an operator does on the dashboard, in a real browser, on a real farm."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.assets import ASSETS
from tests.support.farms import Farm
from tests.support.tabs import Tab

PAGES = ["nodes", "work", "charts", "charts?span=week", "accounts", "overlays", "templates", "audit"]


@pytest.fixture
def operator(open_tab: Callable[..., Tab], farm: Farm) -> Tab:
    return open_tab().log_in("admin@localhost", password_of(farm))


def password_of(farm: Farm) -> str:
    return (farm.data / "admin-password").read_text().strip()


class TestWork:
    def test_waits_while_the_node_is_drained_and_can_be_cancelled(self, operator: Tab, tab: Tab) -> None:
        page = operator.go("/operator/nodes")
        page.get_by_role("button", name="Drain").click()
        expect(page.locator("#state")).to_contain_text("Drained", timeout=60_000)
        tab.go("/portal/models")
        tab.drop("Radio.glb", (ASSETS / "product.glb").read_bytes())
        tab.page.get_by_role("link", name="Open Radio.glb").wait_for()
        render = str(tab.go("/portal/renders").locator("a.cover").get_attribute("href")).split("/")[-1]
        operator.go(f"/operator/work?q={render}").locator(f"#render-{render}").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("cancelled", exact=False).first).to_be_visible()
        expect(tab.go("/portal/account").locator("main")).to_contain_text("Refunded")
        page = operator.go("/operator/nodes")
        page.get_by_role("button", name="Resume").click()
        expect(page.locator("#state")).to_contain_text("Idle", timeout=60_000)
        expect(operator.go("/operator/audit").locator("main")).to_contain_text("nodes drain")


class TestAccounts:
    def test_that_are_suspended_are_out_at_once(self, operator: Tab, open_tab: Callable[..., Tab]) -> None:
        client = open_tab().sign_up("suspended@studio.example")
        page = operator.go("/operator/accounts?q=suspended")
        page.get_by_role("link", name="suspended@studio.example").click()
        page.get_by_role("button", name="Suspend", exact=True).click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        expect(client.go("/portal/renders").locator("main")).to_contain_text("suspended")

    def test_of_clients_do_not_see_the_dashboard(self, tab: Tab) -> None:
        expect(tab.go("/operator/nodes").locator("main")).to_contain_text("Only admin accounts")


class TestPages:
    def test_have_no_barriers(self, open_tab: Callable[..., Tab], farm: Farm) -> None:
        tab = open_tab(reduced_motion="reduce").log_in("admin@localhost", password_of(farm))
        node = tab.go("/operator/nodes").locator("a[id^=node-]").first.get_attribute("href")
        account = tab.go("/operator/accounts").locator("tbody a").first.get_attribute("href")
        barriers = {
            path: tab.barriers(path) for path in [*(f"/operator/{page}" for page in PAGES), f"{node}", f"{account}"]
        }
        assert {path: found for path, found in barriers.items() if found} == {}
