"""Who may see the operator's pages: admin accounts only. Every form needs its browser's token."""

from tests.support.portal import Browser

PAGES = ["nodes", "work", "charts", "accounts", "overlays", "templates", "audit"]
ID = "Xz7pQ4w8nR2k"
UNKNOWN = ["x", f"renders/{ID}", "renders/x", f"renders/{ID}/attempts/{ID}", f"accounts/{ID}", "nodes/x", "nodes/%00"]
FORMS = [
    "nodes/box/drain",
    f"renders/{ID}/cancel",
    f"accounts/{ID}/suspend",
    f"accounts/{ID}/erase",
    f"accounts/{ID}/keys/{ID}/revoke",
    f"overlays/{ID}/publish",
]


class TestAdmins:
    def test_are_led_to_the_nodes(self, operator: Browser) -> None:
        response = operator.get("/operator")
        assert (response.status_code, response.headers["location"]) == (303, "/operator/nodes")

    def test_see_every_page(self, operator: Browser) -> None:
        for page in PAGES:
            response = operator.get(f"/operator/{page}")
            assert response.status_code == 200, page
            assert 'aria-current="page"' in response.text
            assert response.headers["cache-control"] == "no-store"

    def test_get_only_the_part_that_changes_when_a_page_polls(self, operator: Browser) -> None:
        for page in ("nodes", "work"):
            part = operator.get(f"/operator/{page}", headers={"HX-Request": "true"}).text
            assert "<html" not in part
            assert part.count("hx-get=") == 1, "one request a page"
            assert f'hx-get="/operator/{page}' in part

    def test_see_a_page_for_what_does_not_exist(self, operator: Browser) -> None:
        for path in UNKNOWN:
            response = operator.get(f"/operator/{path}")
            assert response.status_code == 404, path
            assert "There is no such page" in response.text

    def test_take_any_query(self, operator: Browser) -> None:
        for query in (
            "q=%00%ff",
            "offset=-1",
            "offset=99999999999",
            "status=x&state=x&span=x",
            "node=%00",
            "account=%00",
        ):
            for page in PAGES:
                assert operator.get(f"/operator/{page}?{query}").status_code == 200, (page, query)

    def test_change_nothing_without_the_token_of_their_page(self, operator: Browser) -> None:
        for path in FORMS:
            assert operator.client.post(f"/operator/{path}").status_code == 403
            assert operator.client.post(f"/operator/{path}", data={"token": "0" * 64}).status_code == 403

    def test_have_no_other_actions(self, operator: Browser) -> None:
        for path in ("nodes/box/x", f"renders/{ID}/x", f"overlays/{ID}/x", f"accounts/{ID}/x"):
            assert operator.post(f"/operator/{path}").status_code == 404

    def test_are_led_to_the_dashboard_from_the_portal(self, operator: Browser, browser: Browser) -> None:
        assert 'href="/operator"' in operator.get("/portal/account").text
        assert 'href="/operator"' not in browser.get("/portal/account").text


class TestOthers:
    def test_with_an_account_are_told_that_they_may_not(self, browser: Browser) -> None:
        for page in ["", *(f"/{page}" for page in PAGES + UNKNOWN)]:
            response = browser.get(f"/operator{page}")
            assert response.status_code == 403, page
            assert "Only admin accounts" in response.text
        for path in FORMS:
            assert browser.post(f"/operator/{path}").status_code == 403

    def test_are_led_to_the_log_in(self, guest: Browser) -> None:
        for page in ["", *(f"/{page}" for page in PAGES + UNKNOWN)]:
            response = guest.get(f"/operator{page}")
            assert response.status_code == 303, page
            assert response.headers["location"].startswith("/portal/log-in")

    def test_are_led_back_by_the_log_in(self, guest: Browser, operator: Browser) -> None:
        assert operator
        response = guest.log_in("boss@example.com", next_page="/operator/work")
        assert response.headers["location"] == "/operator/work"
