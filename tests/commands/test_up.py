"""The first start of `farm up`: the admin account and its key, and who may read the data folder."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from typer.testing import CliRunner

from farm.accounts.accounts import PREFIX
from farm.cli import app
from tests.support.polling import until
from tests.support.portal import TOKEN
from tests.support.processes import FARM, WITHOUT_CAPABILITIES, command_line, free_port, may_read


@contextmanager
def farm_up(folder: Path) -> Iterator[tuple[str, str]]:
    """The address of a farm without workers, and its output, under the umask of most systems; without capabilities."""
    port, output = free_port(), folder / "output"
    environment = os.environ | {"FARM_DATA": str(folder / "data"), "FARM_SCRATCH": str(folder)}
    farm = [sys.executable, "-c", WITHOUT_CAPABILITIES, str(FARM), "up", "--workers", "0", "--port", str(port)]
    command = ["sh", "-c", 'umask 022 && exec "$@"', "sh", *farm]
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        until(lambda: "Plinth is up" in output.read_text() or process.poll() is not None)
        yield f"http://127.0.0.1:{port}", output.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def audited(folder: Path) -> list[dict[str, str]]:
    """The entries of the audit of the farm in a folder, the newest first."""
    result = CliRunner().invoke(app, ["audit", "--json", "--data", str(folder / "data")])
    return list(json.loads(result.stdout))


def logs_in(url: str, email: str, password: str) -> bool:
    """Whether the portal accepts a password."""
    with httpx.Client(base_url=url) as browser:
        [token] = TOKEN.findall(browser.get("/portal/log-in").text)
        answer = browser.post("/portal/log-in", data={"token": token, "email": email, "password": password})
        return answer.status_code == 303 and browser.get("/portal/account").status_code == 200


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_writes_the_admin_key_to_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "data" / "admin-key"
    with farm_up(tmp_path) as (url, output):
        key = file.read_text().strip()
        assert key.startswith(PREFIX)
        assert str(file) in output
        assert PREFIX not in output
        password = file.with_name("admin-password")
        assert str(password) in output
        assert password.read_text().strip() not in output
        assert logs_in(url, "admin@localhost", password.read_text().strip())
        account = httpx.get(f"{url}/v1/account", headers={"Authorization": f"Bearer {key}"}).json()["data"]
        assert account["email"] == "admin@localhost"
        databases = [path for path in file.parent.iterdir() if path.name.startswith("plinth.db")]
        assert len(databases) == 3, "with the files that SQLite adds"
        assert {mode(path) for path in [file, password, *databases]} == {0o600}
        assert mode(file.parent) == 0o700
        assert [(entry["what"], entry["email"]) for entry in audited(tmp_path)] == [
            ("keys create", "admin@localhost"),
            ("accounts create", "admin@localhost"),
        ]
    with farm_up(tmp_path) as (url, output):
        assert httpx.get(f"{url}/v1/health").status_code == 200
        assert str(file) not in output
        assert len(audited(tmp_path)) == 2
    assert file.read_text().strip() == key


def test_api_keeps_its_environment_from_its_children(tmp_path: Path) -> None:
    """They read clients' files, and it may hold the secrets of a database and of S3."""
    with farm_up(tmp_path) as (url, _):
        port = url.rpartition(":")[2]
        children = psutil.Process().children(recursive=True)  # other tests' farms, too
        [farm] = [child for child in children if port in command_line(child)]
        [api] = [child for child in farm.children() if "serve" in command_line(child)]
        assert not may_read(api.pid, "environ")
        assert may_read(api.ppid(), "environ"), "which has no such children"


def test_a_second_farm_on_the_same_data_folder_is_refused(tmp_path: Path) -> None:
    with farm_up(tmp_path):
        command = [str(FARM), "up", "--workers", "0", "--port", str(free_port()), "--data", str(tmp_path / "data")]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    [line] = second.stderr.strip().splitlines()
    assert f"Another `farm up` runs on the data folder {tmp_path / 'data'}" in line
