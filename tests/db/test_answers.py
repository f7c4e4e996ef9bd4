"""Claims of Idempotency-Keys: one holder at a time, which loses a claim that it does not renew."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from farm.db import answers
from farm.db.session import Database
from farm.db.tables import Answer, now
from farm.errors import IdempotencyInFlight, IdempotencyMismatch
from tests.support.clients import Client

pytestmark = pytest.mark.on_both_databases

FINGERPRINT = "0" * 64


def claim(database: Database, client: Client, fingerprint: str = FINGERPRINT) -> Answer:
    with database.write() as db:
        return answers.claim(db, client.account.id, "/renders", "key", fingerprint)


def let_lease_expire(database: Database) -> None:
    with database.write() as db:
        db.execute(update(Answer).values(lease_until=now()))


class TestClaim:
    def test_has_one_holder(self, database: Database, client: Client) -> None:
        def try_claim(_: int) -> Answer | None:
            try:
                return claim(database, client)
            except (IdempotencyInFlight, IntegrityError):
                return None

        with ThreadPoolExecutor(8) as pool:
            assert len(list(filter(None, pool.map(try_claim, range(8))))) == 1

    def test_is_lost_to_another_request_when_its_lease_ends(self, database: Database, client: Client) -> None:
        first = claim(database, client)
        let_lease_expire(database)
        second = claim(database, client, "1" * 64)
        with pytest.raises(IdempotencyInFlight), database.write() as db:
            answers.complete(db, first.id, 201, "late")
        with database.write() as db:
            answers.renew(db, first.id)
            answers.release(db, first.id)
            answers.complete(db, second.id, 201, "in time")
        found = claim(database, client, "1" * 64)
        assert (found.status, found.body) == (201, "in time")

    def test_is_kept_by_renewals(self, database: Database, client: Client) -> None:
        held = claim(database, client)
        let_lease_expire(database)
        with database.write() as db:
            answers.renew(db, held.id)
        with pytest.raises(IdempotencyInFlight):
            claim(database, client)

    def test_is_free_after_a_release(self, database: Database, client: Client) -> None:
        with database.write() as db:
            answers.release(db, answers.claim(db, client.account.id, "/renders", "key", FINGERPRINT).id)
        assert claim(database, client, "1" * 64).status is None


class TestAnswer:
    def test_survives_a_release_and_the_end_of_the_lease(self, database: Database, client: Client) -> None:
        held = claim(database, client)
        with database.write() as db:
            answers.complete(db, held.id, 201, "body")
            answers.release(db, held.id)
        let_lease_expire(database)
        assert claim(database, client).body == "body"
        with pytest.raises(IdempotencyMismatch):
            claim(database, client, "1" * 64)
