"""Every page, in both colour schemes: nothing that shuts people out, no error, no request to another host."""

from collections.abc import Callable

import pytest

from tests.support.assets import ASSETS
from tests.support.tabs import Tab

PAGES = ["/portal/renders", "/portal/models", "/portal/renders/new", "/portal/overlays", "/portal/keys"]
PAGES += ["/portal/account", "/portal/no-such-page"]
GUEST_PAGES = ["/portal/log-in", "/portal/sign-up"]


class TestPages:
    def test_have_no_barriers(self, open_tab: Callable[..., Tab]) -> None:
        tab = open_tab(reduced_motion="reduce")
        barriers = {path: tab.barriers(path) for path in GUEST_PAGES}
        tab.sign_up("barriers@studio.example")
        tab.go("/portal/models")
        tab.drop("Radio.glb", (ASSETS / "product.glb").read_bytes())
        model = tab.page.get_by_role("link", name="Open Radio.glb").get_attribute("href")
        render = tab.go("/portal/renders").locator("a.cover").get_attribute("href")
        barriers |= {path: tab.barriers(path) for path in [*PAGES, f"{model}", f"{render}"]}
        assert {path: found for path, found in barriers.items() if found} == {}

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_have_no_barriers_in_the_reference(self, open_tab: Callable[..., Tab], scheme: str) -> None:
        """Also not in the form of a call, which Swagger UI draws once it is opened."""
        tab = open_tab(color_scheme=scheme)
        call = tab.go("/docs").locator(".opblock", has_text="Upload a model and order a render of it")
        call.wait_for()
        assert tab.barriers_here() == []
        call.locator(".opblock-summary-control").click()
        call.get_by_role("button", name="Try it out").click()
        call.get_by_role("button", name="Execute").wait_for()
        assert tab.barriers_here() == []
