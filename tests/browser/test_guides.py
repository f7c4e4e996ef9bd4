"""The guides in a real browser: readable on every screen, with all pictures, without a log-in."""

from collections.abc import Callable

from api.guides import contents
from tests.support.tabs import Tab

PATHS = ["/guides", *(guide.url for guide in contents.guides().values())]
PHONE = {"width": 360, "height": 740}
EXCESS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
MISSING = """() => Promise.all([...document.querySelectorAll("article img")].map(async (image) => {
    await image.decode();
    return image.naturalWidth ? null : image.src;
})).then((found) => found.filter(Boolean))"""


def test_have_no_barriers(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(reduced_motion="reduce")
    assert {path: found for path in PATHS if (found := tab.barriers(path))} == {}


def test_fit_a_phone(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(viewport=PHONE)
    assert {path: excess for path in PATHS if (excess := tab.go(path).evaluate(EXCESS)) > 0} == {}


def test_show_all_pictures(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    assert {path: missing for path in PATHS if (missing := tab.go(path).evaluate(MISSING))} == {}


def test_open_in_the_navigation_of_a_phone(open_tab: Callable[..., Tab]) -> None:
    page = open_tab(viewport=PHONE).go("/guides/client")
    page.get_by_text("All guides").click()
    page.get_by_role("navigation", name="All guides").get_by_role("link", name="Datasets").click()
    page.wait_for_url("**/guides/datasets")


def test_lead_to_a_heading_of_another_guide(open_tab: Callable[..., Tab]) -> None:
    page = open_tab().go("/guides/portal")
    page.get_by_role("link", name="the render settings").click()
    page.wait_for_url("**/guides/client#render-settings")
    assert page.locator("#render-settings").evaluate("heading => Math.abs(heading.getBoundingClientRect().top) < 100")
