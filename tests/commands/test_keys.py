"""The commands `farm keys ...` create, list and revoke API keys."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from farm.accounts.accounts import PREFIX
from farm.db.session import Database
from farm.db.tables import Key
from tests.support.commands import done, farm, refused, rows_of

pytestmark = pytest.mark.usefixtures("small_farm")


class TestKeys:
    def test_are_printed_alone_on_stdout(self) -> None:
        done("accounts", "create", "ada@example.com")
        first, second = (farm("keys", "create", "ada@example.com") for _ in range(2))
        assert first.stdout.startswith(PREFIX)
        assert first.stdout == first.stdout.strip() + "\n"
        assert first.stderr == ""
        assert first.stdout != second.stdout

    def test_explain_how_to_create_an_unknown_account(self) -> None:
        assert "farm accounts create eve@example.com" in refused("keys", "create", "eve@example.com")

    def test_are_listed_with_scopes_and_expiry(self, tmp_path: Path) -> None:
        done("accounts", "create", "ada@example.com")
        keys = [
            done("keys", "create", "ada@example.com"),
            done("keys", "create", "ada@example.com", "--scopes", "renders:read, account:read", "--expires", "30d"),
            done("keys", "create", "ada@example.com", "--expires", "2130-01-31"),
        ]
        with contextlib.closing(Database(f"sqlite:///{tmp_path}/data/plinth.db")) as database, database.write() as db:
            db.scalars(select(Key).order_by(Key.created_at)).all()[-1].expires_at = datetime(2020, 1, 31, tzinfo=UTC)
        rows = json.loads(done("keys", "list", "ada@example.com", "--json"))
        assert [row["state"] for row in rows] == ["active", "active", "expired"]
        assert [row["scopes"] for row in rows] == [["all"], ["renders:read", "account:read"], ["all"]]
        assert [row["expires"] and row["expires"][:4] for row in rows][::2] == [None, "2020"]
        assert rows[2]["expires"] == "2020-01-31T00:00:00+00:00"
        assert all(row["created"] and row["used"] is None for row in rows)
        plain = rows_of("keys", "list", "ada@example.com")
        assert [row[0] for row in plain] == [row["id"] for row in rows]
        assert not any(key.strip()[-10:] in str(plain) for key in keys)

    @pytest.mark.parametrize(
        "until", ["1s", "12h", "30d", "8w", "2030-01-31", "2030-01-31T12:00", "2030-01-31T12:00:00+02:00"]
    )
    def test_may_expire(self, until: str) -> None:
        done("accounts", "create", "ada@example.com")
        done("keys", "create", "ada@example.com", "--expires", until)
        assert json.loads(done("keys", "list", "ada@example.com", "--json"))[0]["state"] == "active"

    @pytest.mark.parametrize(
        "until", ["", "soon", "5", "d", "-1d", "1.5h", "99999999999999d", "2030-13-01", "0001-01-01T00:00+23:00"]
    )
    def test_refuse_an_invalid_expiry(self, until: str) -> None:
        done("accounts", "create", "ada@example.com")
        assert "30d" in refused("keys", "create", "ada@example.com", "--expires", until)
        assert json.loads(done("keys", "list", "ada@example.com", "--json")) == []

    @pytest.mark.parametrize("until", ["0d", "2020-01-01", "2020-01-01T00:00:00+02:00"])
    def test_refuse_an_expiry_that_has_passed(self, until: str) -> None:
        done("accounts", "create", "ada@example.com")
        assert "must expire in the future" in refused("keys", "create", "ada@example.com", "--expires", until)
        assert json.loads(done("keys", "list", "ada@example.com", "--json")) == []

    def test_refuse_an_unknown_scope_and_list_the_known(self) -> None:
        done("accounts", "create", "ada@example.com")
        said = refused("keys", "create", "ada@example.com", "--scopes", "renders:read,renders:fly")
        assert "renders:fly" in said
        assert "account:read" in said

    def test_can_be_revoked_by_id(self) -> None:
        done("accounts", "create", "ada@example.com")
        done("keys", "create", "ada@example.com")
        done("keys", "revoke", rows_of("keys", "list", "ada@example.com")[0][0])
        assert "revoked" in done("keys", "list", "ada@example.com")

    def test_can_be_revoked_only_once(self) -> None:
        done("accounts", "create", "ada@example.com")
        key = done("keys", "create", "ada@example.com").strip()
        assert "Revoked" in done("keys", "revoke", key)
        assert "not a key" in refused("keys", "revoke", key)

    def test_are_not_echoed_if_unknown(self) -> None:
        assert "dxgl_sk_wrong" not in refused("keys", "revoke", "dxgl_sk_wrong")
