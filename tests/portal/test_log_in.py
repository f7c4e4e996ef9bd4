"""Log in, log out, sign up: cookies, sessions, forms of other sites, and guessed passwords."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from api import rate_limits
from api.portal.visitors import COOKIE, SECURE_COOKIE
from farm.accounts import accounts, passwords, sessions
from farm.db import clock
from farm.db.accounts import find_account
from farm.db.session import Database
from farm.db.tables import Account, BrowserSession, Invitation
from farm.scheduling.cleanup import clean_up
from farm.settings import Settings
from farm.storage import Storage
from tests.support.api import count
from tests.support.clients import Client
from tests.support.portal import PASSWORD, Browser, set_password

WRONG = "The email address or the password is wrong"


@pytest.fixture
def known(database: Database, client: Client) -> str:
    """The address of an account with a password."""
    set_password(database, client.account)
    return client.account.email


class TestPages:
    def test_lead_guests_to_the_log_in_and_back(self, guest: Browser, known: str) -> None:
        response = guest.get("/portal/account?changed")
        assert (response.status_code, response.headers["location"]) == (
            303,
            "/portal/log-in?next=%2Fportal%2Faccount%3Fchanged",
        )
        assert guest.log_in(known, next_page="/portal/account?changed").headers["location"] == "/portal/account?changed"

    def test_start_at_the_root(self, guest: Browser) -> None:
        assert guest.get("/").headers["location"] == "/portal"
        assert guest.get("/portal").headers["location"] == "/portal/log-in"

    @pytest.mark.parametrize(
        "elsewhere",
        ["https://evil.example/", "//evil.example", "/\\evil.example", "/portal/\\..", "/docs", "javascript:x"],
    )
    def test_lead_to_no_other_host_after_the_log_in(self, guest: Browser, known: str, elsewhere: str) -> None:
        assert guest.log_in(known, next_page=elsewhere).headers["location"] == "/portal"

    def test_tell_scripts_that_the_session_is_over(self, guest: Browser) -> None:
        response = guest.get("/portal/account", headers={"HX-Request": "true"})
        assert (response.status_code, response.headers["hx-redirect"]) == (401, "/portal/log-in")

    def test_are_not_stored_by_browsers(self, browser: Browser) -> None:
        assert browser.get("/portal/account").headers["cache-control"] == "no-store"

    def test_have_no_script_or_style_of_their_own(self, browser: Browser, guest: Browser) -> None:
        for page in (browser.get("/portal/account"), guest.get("/portal/log-in"), guest.get("/portal/nothing")):
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none';")
            assert "unsafe" not in policy
            assert "<style" not in page.text
            assert " style=" not in page.text
            assert page.text.count("<script") == page.text.count("<script src=")

    def test_that_do_not_exist_are_a_page_with_404(self, guest: Browser) -> None:
        response = guest.get("/portal/nothing")
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")


class TestCookie:
    def test_is_kept_from_scripts_and_other_sites(self, guest: Browser, known: str) -> None:
        attributes = guest.log_in(known).headers["set-cookie"].lower().split("; ")
        assert attributes[0].startswith(f"{COOKIE}=")
        assert {"httponly", "samesite=lax", "path=/"} <= set(attributes)
        assert "secure" not in attributes

    def test_is_secure_behind_https(self, public_api: TestClient, known: str) -> None:
        guest = Browser(public_api.app, "https://farm")
        attributes = guest.log_in(known).headers["set-cookie"].lower().split("; ")
        assert attributes[0].startswith(f"{SECURE_COOKIE.lower()}=")
        assert {"httponly", "samesite=lax", "path=/", "secure"} <= set(attributes)
        assert guest.get("/portal/account").status_code == 200

    def test_of_before_the_log_in_is_worthless_after_it(self, public_api: TestClient, known: str) -> None:
        """Session fixation: a cookie that an attacker has planted."""
        planted = "planted-by-another-site"
        victim, attacker = Browser(public_api.app), Browser(public_api.app)
        for browser in (victim, attacker):
            browser.client.cookies.set(COOKIE, planted, domain="farm.local")
        victim.logged_in(known)
        assert victim.client.cookies[COOKIE] != planted
        assert attacker.get("/portal/account").status_code == 303

    def test_is_stored_as_a_digest_only(self, guest: Browser, known: str, database: Database) -> None:
        guest.log_in(known)
        with database.read() as db:
            [row] = db.query(BrowserSession).all()
        assert guest.client.cookies[COOKIE] not in (row.id, row.digest)

    def test_opens_no_call_of_the_api(self, browser: Browser) -> None:
        assert browser.get("/v1/account").status_code == 401


class TestLogIn:
    def test_looks_the_same_for_unknown_accounts_and_wrong_passwords(
        self, guest: Browser, known: str, database: Database
    ) -> None:
        with database.write() as db:
            accounts.create(db, "no-password@example.com")
        answers = [guest.log_in(known, "wrong password"), guest.log_in("unknown@example.com"), guest.log_in("x" * 5000)]
        answers.append(guest.log_in("no-password@example.com"))
        for answer in answers:
            assert answer.status_code == 401
            assert WRONG in answer.text
        texts = [answer.text.replace(known, "").replace("unknown@example.com", "") for answer in answers[:2]]
        assert texts[0] == texts[1]

    def test_checks_a_password_even_of_unknown_accounts(
        self, guest: Browser, known: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that its time tells nothing."""
        checked = []
        verify = passwords._hasher.verify

        def record(digest: str, password: str) -> bool:
            checked.append(digest)
            return verify(digest, password)

        monkeypatch.setattr(type(passwords._hasher), "verify", lambda _, digest, password: record(digest, password))
        guest.log_in(known, "wrong password")
        guest.log_in("unknown@example.com", "wrong password")
        assert len(checked) == 2
        assert len({digest.rpartition("$")[0].rpartition("$")[0] for digest in checked}) == 1, "the same cost"

    def test_is_refused_for_a_suspended_account(self, browser: Browser, client: Client, database: Database) -> None:
        with database.write() as db:
            db.get_one(Account, client.account.id).suspended_at = clock.now(db)
        assert browser.get("/portal/account").status_code == 403, "its session, too"
        response = Browser(browser.client.app).log_in(client.account.email)
        assert response.status_code == 403
        assert "suspended" in response.text

    def test_is_throttled_for_an_account(self, guest: Browser, known: str) -> None:
        for _ in range(rate_limits.MAX_LOG_INS_PER_ACCOUNT):
            assert guest.log_in(known, "wrong password").status_code == 401
        refused = guest.log_in(known.upper())
        assert refused.status_code == 429
        assert "Too many attempts to log in: try again in" in refused.text
        assert guest.log_in("unknown@example.com").status_code == 401, "another account"

    def test_is_throttled_for_an_address(self, guest: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate_limits, "MAX_LOG_INS_PER_ADDRESS", 3)
        answers = [guest.log_in(f"{number}@example.com").status_code for number in range(4)]
        assert answers == [401, 401, 401, 429]

    def test_is_refused_without_redis(self, guest: Browser, known: str, monkeypatch: pytest.MonkeyPatch) -> None:
        limiter = guest.client.app.state.farm.rate_limiter  # type: ignore[attr-defined]
        monkeypatch.setattr(limiter, "_down", True)
        monkeypatch.setattr(limiter, "_ask_again_at", float("inf"))
        assert guest.log_in(known).status_code == 503

    def test_leaves_no_password_in_redis(self, guest: Browser, known: str, redis: Redis) -> None:
        guest.log_in(known)
        for key in redis.scan_iter():
            assert PASSWORD.encode() not in key
            assert known.encode() not in key


class TestForms:
    @pytest.mark.parametrize(
        "path", ["/portal/log-in", "/portal/sign-up", "/portal/log-out", "/portal/account/password"]
    )
    def test_of_other_sites_are_refused(self, browser: Browser, path: str) -> None:
        for fields in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "\udcff"}):
            response = browser.client.post(
                path, data={name: value.encode("utf-8", "replace") for name, value in fields.items()}
            )
            assert response.status_code == 403
            assert "no longer valid" in response.text
        assert browser.get("/portal/account").status_code == 200, "still logged in"

    def test_with_the_token_of_another_browser_are_refused(self, browser: Browser, other_browser: Browser) -> None:
        token = other_browser.token("/portal/account")
        assert browser.client.post("/portal/log-out", data={"token": token}).status_code == 403

    def test_of_before_the_log_in_are_refused_after_it(self, guest: Browser, known: str) -> None:
        token = guest.token("/portal/log-in")
        guest.logged_in(known)
        assert guest.client.post("/portal/log-out", data={"token": token}).status_code == 403

    @pytest.mark.parametrize("body", [b"\xff=1", b"a" * 2_000_000, b"&".join([b"a=1"] * 500)])
    def test_that_cannot_be_read_are_refused(self, browser: Browser, body: bytes) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = browser.client.post("/portal/log-out", content=body, headers=headers)
        assert response.status_code in (413, 422)
        assert browser.get("/portal/account").status_code == 200


@pytest.mark.on_both_databases
class TestSession:
    def test_ends_with_the_log_out(self, browser: Browser, database: Database) -> None:
        cookie = browser.client.cookies[COOKIE]
        assert browser.post("/portal/log-out").headers["location"] == "/portal/log-in"
        assert COOKIE not in browser.client.cookies
        assert count(database, BrowserSession) == 0
        browser.client.cookies.set(COOKIE, cookie, domain="farm.local")
        assert browser.get("/portal/account").status_code == 303

    def test_ends_after_two_weeks(self, browser: Browser, database: Database, storage: Storage) -> None:
        with database.write() as db:
            db.query(BrowserSession).one().expires_at = clock.now(db) - timedelta(seconds=1)
        assert browser.get("/portal/account").status_code == 303
        clean_up(database, storage)
        assert count(database, BrowserSession) == 0

    def test_can_be_ended_from_another_browser(self, browser: Browser, client: Client) -> None:
        second = Browser(browser.client.app).logged_in(client.account.email)
        page = second.get("/portal/account").text
        [path] = [part.split('"')[0] for part in page.split('action="') if part.startswith("/portal/account/sessions/")]
        assert second.post(path).status_code == 303
        assert browser.get("/portal/account").status_code == 303
        assert second.get("/portal/account").status_code == 200

    def test_cannot_be_ended_by_another_account(
        self, browser: Browser, other_browser: Browser, client: Client, database: Database
    ) -> None:
        with database.read() as db:
            session = db.query(BrowserSession).filter_by(account_id=client.account.id).one()
        other_browser.post(f"/portal/account/sessions/{session.id}/end")
        assert browser.get("/portal/account").status_code == 200

    def test_is_erased_with_the_account(self, browser: Browser, client: Client, database: Database) -> None:
        with database.write() as db:
            db.delete(db.get_one(Account, client.account.id))
        assert count(database, BrowserSession) == 0
        assert browser.get("/portal/account").status_code == 303


class TestPassword:
    def test_is_changed_and_ends_other_sessions(self, browser: Browser, client: Client) -> None:
        second = Browser(browser.client.app).logged_in(client.account.email)
        new = "a new long password"
        assert browser.post("/portal/account/password", {"old": PASSWORD, "new": new}).status_code == 303
        assert browser.get("/portal/account").status_code == 200
        assert second.get("/portal/account").status_code == 303
        assert second.log_in(client.account.email).status_code == 401
        assert second.log_in(client.account.email, new).status_code == 303

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("wrong password", "a new long password", "is wrong"),
            (PASSWORD, "short", "12 to 256"),
            (PASSWORD, "x" * 300, "12 to 256"),
        ],
    )
    def test_is_kept_when_the_change_is_refused(
        self, browser: Browser, client: Client, old: str, new: str, words: str
    ) -> None:
        response = browser.post("/portal/account/password", {"old": old, "new": new})
        assert response.status_code == 422
        assert words in response.text
        assert Browser(browser.client.app).log_in(client.account.email).status_code == 303

    def test_cannot_be_guessed_there(self, browser: Browser) -> None:
        for _ in range(rate_limits.MAX_LOG_INS_PER_ACCOUNT):
            assert browser.post("/portal/account/password", {"old": "wrong", "new": "x" * 20}).status_code == 422
        assert browser.post("/portal/account/password", {"old": "wrong", "new": "x" * 20}).status_code == 429

    def test_is_not_loaded_with_an_account(self, client: Client, database: Database) -> None:
        set_password(database, client.account)
        with database.read() as db:
            account = find_account(db, client.account.email)
        assert account
        assert "password_digest" not in account.__dict__

    def test_is_stored_as_an_argon2id_digest(self, client: Client, database: Database) -> None:
        set_password(database, client.account)
        with database.read() as db:
            _, digest = sessions.credentials(db, client.account.email)
        assert digest
        assert digest.startswith("$argon2id$")
        assert PASSWORD not in digest


class TestSignUp:
    FIELDS = {"email": "new@example.com", "password": PASSWORD}  # noqa: RUF012

    def test_is_closed_by_default(self, guest: Browser, database: Database) -> None:
        assert guest.get("/portal/sign-up").status_code == 403
        assert "Sign up" not in guest.get("/portal/log-in").text
        response = guest.post("/portal/sign-up", self.FIELDS, page="/portal/log-in")
        assert response.status_code == 403
        assert count(database, Account) == 0

    class TestOpen:
        @pytest.fixture
        def settings(self, settings: Settings) -> Settings:
            return settings.model_copy(update={"sign_up": "open"})

        def test_creates_an_account_and_logs_in(self, guest: Browser, database: Database) -> None:
            response = guest.post("/portal/sign-up", TestSignUp.FIELDS, page="/portal/sign-up")
            assert response.status_code == 303
            assert "new@example.com" in guest.get("/portal/account").text
            with database.read() as db:
                account = find_account(db, "new@example.com")
            assert account
            assert (account.credits, account.is_admin) == (10, False)

        @pytest.mark.parametrize(
            ("email", "password"), [("no address", PASSWORD), ("a@example.com", "short"), ("ada@example.com", PASSWORD)]
        )
        @pytest.mark.usefixtures("client")
        def test_refuses_what_cannot_be(self, guest: Browser, database: Database, email: str, password: str) -> None:
            fields = {"email": email, "password": password}
            assert guest.post("/portal/sign-up", fields, page="/portal/sign-up").status_code == 422
            assert count(database, Account) == 1

    @pytest.mark.on_both_databases
    class TestByInvitation:
        @pytest.fixture
        def settings(self, settings: Settings) -> Settings:
            return settings.model_copy(update={"sign_up": "invite"})

        def test_works_once(self, guest: Browser, database: Database) -> None:
            with database.write() as db:
                code = sessions.invite(db, 77)
            page = f"/portal/sign-up?invitation={code}"
            second = Browser(guest.client.app)
            token = second.token(page)
            fields = {**TestSignUp.FIELDS, "invitation": code}
            assert guest.post("/portal/sign-up", fields, page=page).status_code == 303
            fields |= {"email": "second@example.com", "token": token}
            assert second.client.post("/portal/sign-up", data=fields).status_code == 403
            with database.read() as db:
                [account] = db.query(Account).all()
            assert account.credits == 77

        def test_is_refused_without_a_valid_one(self, guest: Browser, database: Database) -> None:
            with database.write() as db:
                code = sessions.invite(db, 77)
                db.query(Invitation).one().expires_at = clock.now(db)
            for query in ("", "?invitation=x", f"?invitation={code}"):
                assert guest.get(f"/portal/sign-up{query}").status_code == 403
