"""The pages of system overlays, templates and the audit."""

from pathlib import Path

import pytest

from farm.db.session import Database
from farm.db.tables import Account, Overlay
from tests.support.clients import Client
from tests.support.operator import audited, shown
from tests.support.overlays import add_overlay
from tests.support.portal import Browser


class TestOverlays:
    def test_are_published_and_unpublished(self, operator: Browser, admin: Account, database: Database) -> None:
        overlay = add_overlay(database, admin, "<b>Wall</b>")
        assert "&lt;b&gt;Wall" in operator.get("/operator/overlays").text
        for action in ("publish", "unpublish"):
            assert operator.post(f"/operator/overlays/{overlay}/{action}").status_code == 303
            with database.read() as db:
                assert db.get_one(Overlay, overlay).published == (action == "publish")
        assert audited(database) == [
            (admin.id, "overlays unpublish", overlay),
            (admin.id, "overlays publish", overlay),
        ]

    def test_of_others_are_shown_once_published_and_not_changed(
        self, operator: Browser, client: Client, database: Database
    ) -> None:
        overlay = add_overlay(database, client.account, "Published", published=True)
        add_overlay(database, client.account, "Private")
        text = shown(operator, "/operator/overlays")
        assert "Published" in text
        assert "Private" not in text
        assert operator.post(f"/operator/overlays/{overlay}/unpublish").status_code == 404
        assert audited(database) == []


class TestTemplates:
    def test_have_a_still_and_their_check(
        self, operator: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "shop.blend").touch()
        (tmp_path / "shop.toml").write_text("title = 1\n")
        monkeypatch.setenv("FARM_TEMPLATES", str(tmp_path))
        page = operator.get("/operator/templates").text
        assert '<img src="/portal/scenes/studio/still"' in page
        assert "shop.toml: " in page
        assert page.count("Files are valid") == 4
        assert page.count("Broken") == 1
        assert str(tmp_path) not in page


@pytest.mark.on_both_databases
class TestAudit:
    def test_lists_what_was_done_to_an_account_and_by_an_admin(
        self, operator: Browser, admin: Account, client: Client, stranger: Client
    ) -> None:
        for each in (client, stranger):
            operator.post(f"/operator/accounts/{each.account.id}/grant", {"credits": "7"})
        text = shown(operator, "/operator/audit")
        assert f"accounts grant {client.account.id} {client.account.email} {admin.email} credits 7" in text
        assert stranger.account.email in text
        for wanted in (client.account.email, client.account.id):
            text = shown(operator, f"/operator/audit?account={wanted}")
            assert client.account.email in text
            assert stranger.account.email not in text
        assert shown(operator, f"/operator/audit?account={admin.email}").count("accounts grant") == 2
        assert "No entries about it" in shown(operator, "/operator/audit?account=none@example.com")

    def test_has_pages(self, operator: Browser, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.operator.audit.PAGE_SIZE", 1)
        for credits in (7, 8):
            operator.post(f"/operator/accounts/{client.account.id}/grant", {"credits": credits})
        assert 'rel="next"' in operator.get("/operator/audit").text
        older = operator.get("/operator/audit?account=&offset=1").text
        assert "credits 7" in older
        assert "credits 8" not in older
        assert 'rel="next"' not in older
