"""What is in docker/ says what the code says: settings, commands, units, and the install steps of `make setup`."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main
import yaml

from farm import cli
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import names, registry
from farm.processes import exit_codes
from farm.settings import Settings
from tests.support.nodes import CPU

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
UNITS = sorted((DOCKER / "systemd").glob("*.service"))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
NODE = yaml.safe_load((DOCKER / "compose.node.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / "env.example").read_text(), re.MULTILINE))
WORKERS = {name: service for name, service in SERVICES.items() if name.startswith("worker-")}
CHUNK_MINUTES = 25  # that a worker which is told to stop has for the chunk at hand
REBOOT_MINUTES = 30  # after which systemd forces a machine down (JobTimeoutSec of reboot.target)


def instructions(dockerfile: Path) -> list[str]:
    """A Dockerfile's instructions, each in one line."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    return [line for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if line]


def farm_command(words: list[str]) -> None:
    """Asserts that `farm` knows these words, options included."""
    command: Any = typer.main.get_command(cli.app)
    program, *rest = words
    assert Path(program).name == "farm", words
    while rest and isinstance(command, typer.core.TyperGroup):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= known, words


@pytest.mark.parametrize("path", [path for path in DOCKER.rglob("*") if path.is_file()], ids=lambda path: path.name)
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    named = set(re.findall(r"\bFARM_(\w+)", path.read_text()))
    assert {name.lower() for name in named} <= set(Settings.model_fields)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
class TestImages:
    def test_install_as_make_setup_does(self, dockerfile: Path) -> None:
        makefile, image = (ROOT / "Makefile").read_text(), " ".join(instructions(dockerfile))
        for words in ("--require-hashes -r requirements.lock", "--no-deps --no-build-isolation"):
            assert words in makefile
            assert words in image
        assert re.search(r"--editable \. +--editable clients/python", image)

    def test_satisfy_hadolint_where_it_is_installed(self, dockerfile: Path) -> None:
        if shutil.which("hadolint"):  # else what is here has to do
            read = subprocess.run(["hadolint", dockerfile], capture_output=True, text=True)
            assert read.returncode == 0, read.stdout

    def test_run_as_nobody_in_particular(self, dockerfile: Path) -> None:
        [user] = [line.split()[1] for line in instructions(dockerfile) if line.startswith("USER ")]
        assert int(user) > 1000

    def test_run_a_command_that_is_there_and_tell_their_health(self, dockerfile: Path) -> None:
        lines = instructions(dockerfile)
        [command] = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
        farm_command(command)
        [health] = [line.partition("CMD ")[2] for line in lines if line.startswith("HEALTHCHECK ")]
        assert json.loads(health)[0] == "python"

    def test_copy_nothing_that_the_context_leaves_out(self, dockerfile: Path) -> None:
        let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
        copied = [line.split()[1] for line in instructions(dockerfile) if re.match(r"COPY (?!--from)", line)]
        assert set(copied) - {"."} <= set(let_in)
        assert all((ROOT / path).exists() for path in let_in)


def test_the_worker_installs_the_system_libraries_and_lets_nvidias_egl_go_first() -> None:
    text = (DOCKER / "worker.Dockerfile").read_text()
    assert "/tmp/system-libraries" in text
    assert "NVIDIA_DRIVER_CAPABILITIES=all" in text
    assert "10_nvidia.json /usr/share/glvnd/egl_vendor.d/" in text
    vendor = json.loads((DOCKER / "10_nvidia.json").read_text())
    assert vendor == {"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}


class TestWorkersHealth:
    """`docker/worker-health`, which the worker's image runs inside a container."""

    @pytest.mark.parametrize("name", [names.default(None), f"{names.default(None)}-2"])
    def test_is_good_while_the_database_hears_of_the_node(
        self, settings: Settings, database: Database, name: str
    ) -> None:
        assert registry.join(database, replace(CPU, name=name))
        assert self.exit_code(settings) == 0

    def test_is_bad_once_the_node_is_silent(self, settings: Settings, database: Database) -> None:
        assert registry.join(database, replace(CPU, name=names.default(None)))
        with database.write() as db:
            nodes.named(db, names.default(None)).seen_at = now() - timedelta(minutes=1)
        assert self.exit_code(settings) == 1

    @pytest.mark.usefixtures("database")
    def test_is_bad_where_there_is_no_node(self, settings: Settings) -> None:
        assert self.exit_code(settings) == 1

    @staticmethod
    def exit_code(settings: Settings) -> int:
        surroundings = os.environ | {"FARM_DATA": str(settings.data)}
        return subprocess.run([sys.executable, "docker/worker-health"], cwd=ROOT, env=surroundings).returncode


class TestCompose:
    def test_runs_commands_that_are_there(self) -> None:
        commands = [service["command"] for service in SERVICES.values() if service["image"].startswith("plinth-")
                    and "command" in service]  # fmt: skip
        assert commands
        for command in commands:
            farm_command(command)

    def test_has_one_worker_for_each_gpu(self) -> None:
        seen = []
        for name, service in WORKERS.items():
            assert service["profiles"] == [name.removeprefix("worker-")]
            assert service["hostname"].endswith(name.removeprefix("worker"))
            if name != "worker-cpu":
                [device] = service["deploy"]["resources"]["reservations"]["devices"]
                assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
                seen += device["device_ids"]
        assert seen == [str(number) for number in range(8)]

    def test_lets_a_drained_worker_stay_down_and_a_stopped_one_finish(self) -> None:
        assert exit_codes.STOPPED == 0, "`on-failure` starts whatever ends otherwise"
        for service in WORKERS.values():
            assert (service["restart"], service["stop_grace_period"]) == ("on-failure", f"{CHUNK_MINUTES}m")
            assert service["shm_size"]

    def test_checks_the_health_of_all_that_stays(self) -> None:
        for name, service in SERVICES.items():
            checked = "healthcheck" in service or service["image"].startswith("plinth-")
            assert checked, name
        assert [name for name, service in SERVICES.items() if service.get("healthcheck") == {"disable": True}] == [
            "migrate",
            "reaper",
        ]

    def test_a_further_node_has_the_same_workers(self) -> None:
        assert set(NODE["services"]) == set(WORKERS)
        for name, service in NODE["services"].items():
            assert service == {"extends": {"file": "compose.yaml", "service": name}}

    def test_its_variables_stand_in_the_example(self) -> None:
        text = (DOCKER / "compose.yaml").read_text() + (DOCKER / "compose.node.yaml").read_text()
        assert set(re.findall(r"\$\{(\w+)", text)) <= set(EXAMPLE)

    def test_the_examples_addresses_are_those_of_its_services_and_its_passwords_agree(self) -> None:
        assert f":{EXAMPLE['POSTGRES_PASSWORD']}@postgres:5432/" in EXAMPLE["FARM_DATABASE_URL"]
        assert f":{EXAMPLE['REDIS_PASSWORD']}@redis:6379/" in EXAMPLE["FARM_REDIS_URL"]
        assert set(EXAMPLE["COMPOSE_PROFILES"].split(",")) <= {name.removeprefix("worker-") for name in WORKERS}

    def test_docker_compose_reads_it_where_it_is_installed(self, tmp_path: Path) -> None:
        program = compose_program()
        if program is None:  # then what is above has to do
            return
        for name in ("compose.yaml", "compose.node.yaml"):
            shutil.copy(DOCKER / name, tmp_path)
        shutil.copy(DOCKER / "env.example", tmp_path / ".env")
        for name in ("compose.yaml", "compose.node.yaml"):
            read = subprocess.run([*program, "--file", name, "config"], cwd=tmp_path, capture_output=True, text=True)
            assert read.returncode == 0, read.stderr


def compose_program() -> list[str] | None:
    for program in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(program[0]) and subprocess.run([*program, "version"], capture_output=True).returncode == 0:
            return program
    return None


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
class TestUnits:
    def test_run_commands_that_are_there(self, unit: Path) -> None:
        service = section(unit, "Service")
        if unit.name == "plinth-compose.service":
            return
        for line in (service["ExecStart"], service.get("ExecStartPre")):
            if line:
                farm_command(line.split())
        assert service["KillMode"] == "mixed"
        assert service["User"] == "plinth"

    def test_let_a_drained_worker_stay_down_and_a_stopped_one_finish(self, unit: Path) -> None:
        service = section(unit, "Service")
        if "worker" in unit.name:
            assert service["Restart"] == "always"
            assert service["RestartPreventExitStatus"] == str(exit_codes.STOPPED)
            assert service["TimeoutStopSec"] == f"{CHUNK_MINUTES}min"

    def test_stop_workers_before_the_database_and_before_systemd_forces_the_machine_down(self, unit: Path) -> None:
        if unit.name == "plinth-compose.service":
            stop = "ExecStop=/usr/bin/docker compose stop"
            first, second = [line for line in unit.read_text().splitlines() if line.startswith("ExecStop=")]
            assert (set(first.removeprefix(stop).split()), second) == (set(WORKERS), stop)
            minutes = int(section(unit, "Service")["TimeoutStopSec"].removesuffix("min"))
            assert CHUNK_MINUTES < minutes < REBOOT_MINUTES

    def test_systemd_reads_them_where_it_is_installed(self, unit: Path, tmp_path: Path) -> None:
        program = shutil.which("systemd-analyze")
        if program is None:  # then what is above has to do
            return
        here = unit.read_text().replace("/opt/plinth/.venv/bin/farm", f"{Path(sys.executable).with_name('farm')}")
        here = here.replace("User=plinth", "User=root").replace("/usr/bin/docker", "/bin/true")
        copy = tmp_path / unit.name
        copy.write_text(here.replace("Requires=docker.service\n", ""))
        read = subprocess.run([program, "verify", copy], capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, "")


def section(unit: Path, name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text())
    return dict(parser[name])
