"""Accounts take turns at checks, conversions and pictures; what needs no look into a file comes first."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from api.app import create_app
from api.turns import Turns
from farm.db.session import Database
from farm.db.tables import Model
from farm.errors import InvalidRequest
from farm.settings import Settings
from tests.intake.gltf_bytes import glb as model
from tests.intake.gltf_bytes import triangle
from tests.intake.packed import mesh
from tests.intake.scans import picture, scan
from tests.support.api import assert_error, count, upload, uploaded
from tests.support.clients import Client, new_client
from tests.support.glb import glb

BROKEN_SCAN = b"PK\3\4 is no scan"


class Order:
    """Runs tasks that each hold a slot until they are told to leave, and records their order."""

    def __init__(self, slots: int) -> None:
        self.turns = Turns(slots)
        self.started: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self._hang_ups: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """Ask for a turn for each; the first letter is the account."""
        for name in names:
            self._leave[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._hold(name))
            await asyncio.sleep(0)

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
            await self._tasks[name]
        await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])
        await asyncio.sleep(0)

    async def hang_up(self, name: str) -> None:
        self._hang_ups[name].set()
        with pytest.raises(InvalidRequest, match="connection was closed"):
            await self._tasks[name]

    async def _hold(self, name: str) -> None:
        async with self.turns.turn(name[0], self._hang_ups.setdefault(name, asyncio.Event()).wait):
            self.started.append(name)
            await self._leave[name].wait()


class TestTurns:
    def test_leave_a_slot_to_other_accounts(self) -> None:
        async def run() -> list[str]:
            order = Order(slots=3)
            await order.ask("a1", "a2", "a3", "a4", "b1")
            return order.started

        assert asyncio.run(run()) == ["a1", "a2", "b1"]

    def test_go_round_the_accounts_that_wait(self) -> None:
        async def run() -> list[str]:
            order = Order(slots=2)
            await order.ask("a1", "b1", "a2", "a3", "a4", "b2", "c1")
            await order.leave("a1", "b1", "a2", "b2", "c1", "a3", "a4")
            return order.started

        assert asyncio.run(run()) == ["a1", "b1", "a2", "b2", "c1", "a3", "a4"]

    def test_let_the_only_account_use_a_single_slot(self) -> None:
        async def run() -> list[str]:
            order = Order(slots=1)
            await order.ask("a1", "a2")
            await order.leave("a1", "a2")
            return order.started

        assert asyncio.run(run()) == ["a1", "a2"]

    @pytest.mark.parametrize("cancelled", ["a1", "a2"])
    def test_are_passed_on_when_a_request_is_cancelled(self, cancelled: str) -> None:
        async def run() -> list[str]:
            order = Order(slots=1)
            await order.ask("a1", "a2", "b1")
            await order.cancel(cancelled)
            await order.leave(*({"a1", "a2"} - {cancelled}), "b1")
            return order.started

        assert asyncio.run(run())[-1] == "b1"

    def test_are_not_waited_for_once_the_client_has_hung_up(self) -> None:
        async def run() -> list[str]:
            order = Order(slots=1)
            await order.ask("a1", "a2", "b1")
            await order.hang_up("a2")
            await order.leave("a1", "b1")
            await order.ask("a3")
            return order.started

        assert asyncio.run(run()) == ["a1", "b1", "a3"]

    def test_are_passed_on_when_a_request_is_cancelled_as_its_turn_comes(self) -> None:
        async def run() -> list[str]:
            order = Order(slots=1)
            async with order.turns.turn("a", asyncio.Event().wait):
                await order.ask("b1", "c1")
            await order.cancel("b1")  # which has the turn, but has not run since
            await order.leave("c1")
            return order.started

        assert asyncio.run(run()) == ["c1"]


class TestConversions:
    def test_of_one_account_do_not_hold_up_anothers(self, api: TestClient, stranger: Client) -> None:
        with ThreadPoolExecutor(12) as pool:
            many = [pool.submit(upload, api, scan(obj=scan_obj(number)), name="scan.zip") for number in range(5)]
            other = pool.submit(upload, api, scan(), name="scan.zip", headers=stranger.headers)
            assert other.result().status_code == 201
            assert not all(each.done() for each in many)
            assert [each.result().status_code for each in many] == [201] * 5

    def test_do_not_hold_up_pictures(self, api: TestClient) -> None:
        with ThreadPoolExecutor(12) as pool:
            many = [pool.submit(upload, api, scan(obj=scan_obj(number)), name="scan.zip") for number in range(5)]
            overlay: Future[Response] = pool.submit(api.post, "/v1/overlays", files={"file": ("a.png", picture("PNG"))})
            assert overlay.result().status_code == 200
            assert not all(each.done() for each in many)


def scan_obj(number: int) -> bytes:
    return b"mtllib a.mtl\nv 0 0 %d\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl Stone\nf 1/1 2/2 3/3\n" % number


class TestOrderOfChecks:
    @pytest.mark.parametrize(("name", "content"), [("scan.zip", BROKEN_SCAN), ("model.glb", b"glTF is no model")])
    def test_looks_at_credits_before_the_file(
        self, public_api: TestClient, database: Database, name: str, content: bytes
    ) -> None:
        poor = new_client(database, "poor@example.com", credits=3)
        answer = upload(public_api, content, name, settings='{"quality": "standard"}', headers=poor.headers)
        assert_error(answer, "no_credits", 402, "4 needed", "3 left")
        assert_error(upload(public_api, content, name, headers=poor.headers), "invalid_format", 400)

    def test_looks_at_the_upload_limit_before_the_file(
        self, settings: Settings, database: Database, client: Client
    ) -> None:
        with TestClient(create_app(settings.model_copy(update={"upload_limit": 0})), headers=client.headers) as api:
            assert_error(upload(api, BROKEN_SCAN, "scan.zip"), "upload_limit", 429, "0 new models")
        assert count(database, Model) == 0

    @pytest.mark.parametrize("setting", ['"length": 60', '"bgImageId": "abcdefghijkl"'])
    def test_looks_at_settings_before_the_file(self, api: TestClient, setting: str) -> None:
        answer = upload(api, BROKEN_SCAN, "scan.zip", settings=f"{{{setting}}}")
        assert_error(answer, "invalid_settings", 400, setting.split('"')[1])

    def test_looks_at_the_name_before_all_else(self, public_api: TestClient, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=0)
        answer = upload(public_api, b"", "model.exe", headers=poor.headers)
        assert_error(answer, "invalid_format", 400, "model.exe")

    @pytest.mark.parametrize("content", [glb(), model(*mesh())])
    def test_checks_a_known_file_only_once(
        self, api: TestClient, settings: Settings, client: Client, content: bytes
    ) -> None:
        first = uploaded(api, content)
        stricter = settings.model_copy(update={"max_nodes": 1, "max_upload_bytes": 10**6})
        with TestClient(create_app(stricter), headers=client.headers) as again:
            assert uploaded(again, content)["modelId"] == first["modelId"]


class TestLimits:
    def test_are_those_of_the_settings(self, settings: Settings, database: Database, client: Client) -> None:
        strict = settings.model_copy(update={"max_nodes": 2})
        with TestClient(create_app(strict), headers=client.headers) as api:
            answer = upload(api, model(triangle()))
            assert_error(answer, "invalid_format", 400, "has 3 nodes: 2 are allowed")
        assert count(database, Model) == 0

    def test_bound_what_is_stored_of_clips(self, api: TestClient) -> None:
        long_name = model(triangle("animations[0].name", "n" * 15_000_000))
        assert_error(upload(api, long_name), "invalid_format", 400, "has 15000000 characters: 256 are allowed")
        clips = [{"name": f"clip {number}", "channels": [], "samplers": []} for number in range(1001)]
        assert_error(upload(api, model(triangle("animations", clips))), "invalid_format", 400, "1,001 animation clips")

    def test_bound_the_clips_that_an_error_lists(self, api: TestClient) -> None:
        clips = [{"name": f"clip {number}", "channels": [], "samplers": []} for number in range(1000)]
        answer = upload(api, model(triangle("animations", clips)), settings='{"animation": "Walk"}')
        assert_error(answer, "invalid_settings", 400, "and 980 more")

    def test_check_files_in_another_process(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def not_here(*_: object) -> None:
            raise AssertionError("checked by the process of the API")

        monkeypatch.setattr("farm.intake.check.read_document", not_here)
        uploaded(api, model(triangle()))
