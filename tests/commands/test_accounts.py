"""The commands `farm accounts ...` create, list, credit and suspend accounts."""

import json

import pytest

from farm.commands import shared
from tests.support.commands import done, farm, refused, rows_of

pytestmark = pytest.mark.usefixtures("small_farm")


class TestAccounts:
    def test_are_listed_after_creation(self) -> None:
        assert "ada@example.com" in done("accounts", "create", "ada@example.com")
        done("accounts", "create", "root@example.com", "--admin")
        ada, root = rows_of("accounts", "list")
        assert ada[1:] == ["ada@example.com", "10"]
        assert root[1:] == ["root@example.com", "10", "admin"]

    def test_are_equal_as_json(self) -> None:
        created = json.loads(done("accounts", "create", "ada@example.com", "--json"))
        assert json.loads(done("accounts", "list", "--json")) == [created]
        assert created["email"] == "ada@example.com"
        assert (created["admin"], created["credits"], created["suspended"]) == (False, 10, False)

    def test_start_with_the_given_credits(self) -> None:
        assert json.loads(done("accounts", "create", "ada@example.com", "--credits", "47", "--json"))["credits"] == 47
        assert "50 credits" in done("accounts", "grant", "ada@example.com", "3")
        assert json.loads(done("accounts", "list", "--json"))[0]["credits"] == 50

    @pytest.mark.parametrize("number", ["0", "-1", "many", "1e3", "99999999999999999999"])
    def test_refuse_an_invalid_number_of_credits(self, number: str) -> None:
        done("accounts", "create", "ada@example.com")
        assert farm("accounts", "grant", "ada@example.com", "--", number).exit_code == 2
        assert json.loads(done("accounts", "list", "--json"))[0]["credits"] == 10

    def test_can_be_suspended_and_resumed(self) -> None:
        done("accounts", "create", "ada@example.com")
        done("accounts", "suspend", "ada@example.com")
        assert "suspended" in done("accounts", "list")
        done("accounts", "resume", "ada@example.com")
        assert "suspended" not in done("accounts", "list")

    @pytest.mark.parametrize("command", [("suspend",), ("resume",), ("grant", "5")])
    def test_report_an_unknown_account(self, command: tuple[str, ...]) -> None:
        name, *rest = command
        assert "no account" in refused("accounts", name, "eve@example.com", *rest)

    def test_are_listed_completely_on_a_narrow_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared, "PLAIN_WIDTH", 40)
        done("accounts", "create", "a.rather.long.address@studio.example.com")
        titles, _, *lines = done("accounts", "list").strip("\n").splitlines()[1:]
        assert max(map(len, lines)) <= 40
        column = slice(titles.index("EMAIL"), titles.index("CREDITS"))
        assert "".join(line[column].strip() for line in lines) == "a.rather.long.address@studio.example.com"

    def test_are_empty_in_a_new_farm(self) -> None:
        assert "farm accounts create" in done("accounts", "list")
        assert json.loads(done("accounts", "list", "--json")) == []

    def test_cannot_be_created_twice(self) -> None:
        done("accounts", "create", "ada@example.com")
        assert "already" in refused("accounts", "create", "ada@example.com")
        assert len(rows_of("accounts", "list")) == 1
