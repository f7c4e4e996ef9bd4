"""Downloads from untrusted URLs, from a real server on loopback."""

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from farm.errors import DownloadFailed, DownloadTimeout, FarmError, FileTooLarge, InvalidUrl
from farm.intake import destinations
from farm.intake.destinations import Destinations
from farm.intake.fetch import Fetched, fetch
from farm.settings import Settings
from tests.support.web_server import MODEL, serving

MB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


LOOPBACK = Destinations(allow_loopback=True)


def fetched(
    url: str, target: Path, *, max_bytes: int = MB, timeout_seconds: float = 20, allowed: Destinations = LOOPBACK
) -> Fetched:
    with target.open("wb") as file:
        return asyncio.run(fetch(url, file, max_bytes=max_bytes, timeout_seconds=timeout_seconds, allowed=allowed))


class TestFetch:
    @pytest.mark.parametrize("path", ["chair.glb", "chunked.glb", "moved", "hop3"])
    def test_delivers_the_file_with_its_hash(self, server: str, target: Path, path: str) -> None:
        result = fetched(f"{server}/{path}", target)
        assert target.read_bytes() == MODEL
        assert (result.size, result.sha256) == (len(MODEL), hashlib.sha256(MODEL).hexdigest())

    @pytest.mark.parametrize(
        ("path", "name"),
        [("chair.glb?x=1", "chair.glb"), ("download", "bench.glb"), ("moved", "chair.glb")],
    )
    def test_takes_the_name_from_the_host_or_the_last_url(
        self, server: str, target: Path, path: str, name: str
    ) -> None:
        assert fetched(f"{server}/{path}", target).name == name

    def test_sends_the_host_header_of_the_url(self, server: str, target: Path) -> None:
        url = server.replace("127.0.0.1", "localhost")
        fetched(f"{url}/host", target)
        assert target.read_text() == url.removeprefix("http://")

    def test_ignores_proxies_of_the_environment(
        self, server: str, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert fetched(f"{server}/chair.glb", target).size == len(MODEL)

    def test_stops_at_the_size_limit(self, server: str, target: Path) -> None:
        with pytest.raises(FileTooLarge, match="1 MB"):
            fetched(f"{server}/endless", target)
        assert target.stat().st_size <= MB

    def test_accepts_a_file_of_exactly_the_limit(self, server: str, target: Path) -> None:
        assert fetched(f"{server}/chair.glb", target, max_bytes=len(MODEL)).size == len(MODEL)
        with pytest.raises(FileTooLarge):
            fetched(f"{server}/chunked.glb", target, max_bytes=len(MODEL) - 1)

    def test_refuses_a_content_length_above_the_limit(self, server: str, target: Path) -> None:
        with pytest.raises(FileTooLarge):
            fetched(f"{server}/huge", target)

    def test_times_out_on_a_slow_host(self, server: str, target: Path) -> None:
        started = time.monotonic()
        with pytest.raises(DownloadTimeout):
            fetched(f"{server}/slow", target, timeout_seconds=0.5)
        assert time.monotonic() - started < 3

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("missing", "404"),
            ("zipped", "compressed"),
            ("loop", "more than 3 times"),
            ("hop4", "more than 3 times"),
            ("nowhere", "302"),
            ("short", "closed the connection"),
        ],
    )
    def test_reports_the_error_of_the_host(self, server: str, target: Path, path: str, words: str) -> None:
        with pytest.raises(DownloadFailed, match=words):
            fetched(f"{server}/{path}", target)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.glb", "http://no-such-host.invalid/x.glb"])
    def test_reports_an_unreachable_host(self, target: Path, url: str) -> None:
        with pytest.raises(DownloadFailed):
            fetched(url, target)


class TestRefused:
    @pytest.mark.parametrize("path", ["metadata", "private", "file", "secret", "bad"])
    def test_refuses_a_redirect_to_a_private_address(self, server: str, target: Path, path: str) -> None:
        with pytest.raises(InvalidUrl):
            fetched(f"{server}/{path}", target)

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"]
    )
    def test_refuses_loopback_in_any_notation(self, server: str, target: Path, host: str) -> None:
        port = server.rpartition(":")[2]
        with pytest.raises((InvalidUrl, DownloadFailed)) as refusal:
            fetched(f"http://{host}:{port}/chair.glb", target, allowed=Destinations(frozenset({int(port)})))
        assert "public" in str(refusal.value) or "cannot be resolved" in str(refusal.value)
        assert target.stat().st_size == 0

    def test_resolves_a_host_only_once(self, server: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def rebinding(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1" if len(asked) == 1 else "169.254.169.254"]

        resolve(monkeypatch, {"rebinding.example": rebinding})
        url = server.replace("127.0.0.1", "rebinding.example")
        assert fetched(f"{url}/chair.glb", target).size == len(MODEL)
        assert asked == ["rebinding.example"]

    def test_refuses_a_host_with_a_private_address_among_others(
        self, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, {"both.example": lambda _: ["1.1.1.1", "10.0.0.1"]})
        with pytest.raises(InvalidUrl):
            fetched("http://both.example/x.glb", target)

    @pytest.mark.parametrize("port", ["22", "5432", "6379", "8000", "8443"])
    def test_refuses_other_ports_than_those_of_the_web(self, target: Path, port: str) -> None:
        with pytest.raises(InvalidUrl, match="one of 80, 443"):
            fetched(f"http://1.1.1.1:{port}/x.glb", target, allowed=Destinations())

    @pytest.mark.parametrize("own", ["1.1.1.1", "::ffff:1.1.1.1", "database.example"])
    def test_refuses_the_farm_itself_under_any_name(
        self, target: Path, monkeypatch: pytest.MonkeyPatch, own: str
    ) -> None:
        resolve(monkeypatch, dict.fromkeys(["database.example", "alias.example"], lambda _: ["1.1.1.1"]))
        allowed = Destinations(own_hosts=frozenset({own, "no-such-host.invalid"}))
        for host in ("1.1.1.1", "alias.example", "[::ffff:1.1.1.1]"):
            with pytest.raises(InvalidUrl, match="the farm itself"):
                fetched(f"http://{host}/x.glb", target, allowed=allowed)

    @pytest.mark.parametrize("path", ["garbage", "bad-header", "bad-location", "bad-length", "bad-status"])
    def test_quotes_nothing_of_the_response(self, server: str, target: Path, path: str) -> None:
        with pytest.raises(FarmError) as refusal:
            fetched(f"{server}/{path}", target)
        assert "SECRET" not in refusal.value.message

    @pytest.mark.parametrize(
        "url",
        [
            *("", "chair.glb", "//example.com/x", "http://", "http:///x.glb", "http://[::1/x", "http://a:99999/"),
            *("ftp://example.com/x.glb", "file:///etc/passwd", "gopher://x/", "data:,x", "javascript:1"),
            *("http://user@example.com/x", "http://user:password@example.com/x", "http://exa mple.com/"),
            *("http://example.com/\x00", "http://example.com/\r\nHost: x", " http://example.com/", "http://a\ud800/"),
            *("http://1.2.3.4:99999/", "http://1.2.3.4:0/"),
            *("http://" + "a" * 3000, "http://" + "a" * 70 + ".com/", "http://a..b/", "http://xn--a/"),
        ],
        ids=ascii,
    )
    def test_refuses_an_invalid_url(self, target: Path, url: str) -> None:
        with pytest.raises(FarmError) as refusal:
            fetched(url, target)
        assert refusal.value.code in ("invalid_url", "download_failed")


class TestLookUps:
    def test_have_a_deadline_and_leave_other_threads_alone(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked, answered = threading.Semaphore(0), threading.Event()

        def slow(_: str) -> list[str]:
            asked.release()
            answered.wait(60)
            return ["1.1.1.1"]

        resolve(monkeypatch, {"slow.example": slow})
        monkeypatch.setattr(destinations, "LOOKUP_SECONDS", 2.0)
        monkeypatch.setattr(destinations, "_lookups", ThreadPoolExecutor(2))

        async def flood() -> list[BaseException | Fetched]:
            loop = asyncio.get_running_loop()
            with target.open("wb") as file:
                downloads = [
                    fetch("http://slow.example/", file, max_bytes=MB, timeout_seconds=20, allowed=LOOPBACK)
                    for _ in range(50)
                ]
                running = asyncio.gather(*downloads, return_exceptions=True)
                for _ in range(2):
                    while not asked.acquire(blocking=False):
                        await asyncio.sleep(0.001)
                for _ in range(100):  # until all have begun
                    await asyncio.sleep(0)
                assert await loop.run_in_executor(None, lambda: "not behind the look-ups")
                assert not running.done()
                return await running

        try:
            results = asyncio.run(flood())
        finally:
            answered.set()
        assert len(results) == 50
        for result in results:
            assert isinstance(result, DownloadFailed)
            assert "took too long" in result.message

    def test_of_the_farms_own_hosts_must_succeed_in_time(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        answered = threading.Event()
        resolve(monkeypatch, {"database.example": lambda _: ["1.1.1.1"] * answered.wait(60)})
        monkeypatch.setattr(destinations, "LOOKUP_SECONDS", 0.3)
        try:
            with pytest.raises(DownloadFailed, match="took too long"):
                fetched("http://1.1.1.1/", target, allowed=Destinations(own_hosts=frozenset({"database.example"})))
        finally:
            answered.set()


class TestOwnHosts:
    def test_are_those_of_the_settings_and_of_this_machine(self) -> None:
        settings = Settings(
            database_url="postgresql://plinth:secret@db.example:5432/plinth",
            redis_url="rediss://:secret@redis.example:6379/0",
            s3_endpoint="https://s3.example",
            s3_public_endpoint="https://files.example",
            host="192.0.2.7",
            api_url="https://api.example",
        )
        named = {"db.example", "redis.example", "s3.example", "files.example", "192.0.2.7", "api.example"}
        assert destinations.destinations(settings).own_hosts >= named | {"127.0.0.1"}


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, Callable[[str], list[str]]]) -> None:
    """Let the resolver know these names, too."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: object, *rest: Any, **more: Any) -> object:
        if host not in names:
            return real(host, port, *rest, **more)  # type: ignore[arg-type]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host](host)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
