"""The files of docker/ agree with the code: settings, commands, exit codes, and the install steps of `make setup`."""

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

from api.server import MAX_FILES
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
HADOLINT = Path(sys.executable).with_name("hadolint")
UNITS = sorted((DOCKER / "systemd").glob("*.service"))
COMPOSE_UNIT = DOCKER / "systemd" / "plinth-compose.service"
FARM_UNITS = [unit for unit in UNITS if unit != COMPOSE_UNIT]
WORKER_UNITS = [DOCKER / "systemd" / name for name in ("plinth-worker.service", "plinth-worker@.service")]
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
NODE = yaml.safe_load((DOCKER / "compose.node.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / "env.example").read_text(), re.MULTILINE))
WORKERS = {name: service for name, service in SERVICES.items() if name.startswith("worker-")}
STOP_MINUTES = 25  # for a stopped worker to finish its chunk
REBOOT_MINUTES = 30  # after which systemd forces a reboot (JobTimeoutSec of reboot.target)
SETTING = re.compile(r"\bFARM_(\w+)")
FILES_WITH_SETTINGS = sorted(path for path in DOCKER.rglob("*") if path.is_file() and SETTING.search(path.read_text()))


def instructions(dockerfile: Path) -> list[str]:
    """A Dockerfile's instructions, one line each."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    return [line for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if line]


def assert_is_farm_command(words: list[str]) -> None:
    """`farm` has this command, with these options."""
    command: Any = typer.main.get_command(cli.app)
    program, *rest = words
    assert Path(program).name == "farm", words
    while rest and isinstance(command, typer.core.TyperGroup):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= known, words


@pytest.mark.parametrize("path", FILES_WITH_SETTINGS, ids=lambda path: path.name)
def test_names_only_existing_settings(path: Path) -> None:
    names = {name.lower() for name in SETTING.findall(path.read_text())}
    assert names - set(Settings.model_fields) == set()


def test_finds_the_files_that_name_settings() -> None:
    names = {path.name for path in FILES_WITH_SETTINGS}
    assert names >= {"api.Dockerfile", "worker.Dockerfile", "env.example"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
class TestImages:
    def test_install_as_make_setup_does(self, dockerfile: Path) -> None:
        makefile, image = (ROOT / "Makefile").read_text(), " ".join(instructions(dockerfile))
        for words in ("--require-hashes -r requirements.lock", "--no-deps --no-build-isolation"):
            assert words in makefile
            assert words in image
        assert re.search(r"--editable \. +--editable clients/python", image)

    def test_pass_hadolint(self, dockerfile: Path) -> None:
        linted = subprocess.run([HADOLINT, dockerfile], capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout

    def test_run_as_an_unprivileged_user(self, dockerfile: Path) -> None:
        [user] = [line.split()[1] for line in instructions(dockerfile) if line.startswith("USER ")]
        assert int(user) > 1000

    def test_run_an_existing_command_with_a_health_check(self, dockerfile: Path) -> None:
        lines = instructions(dockerfile)
        [command] = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
        assert_is_farm_command(command)
        [health] = [line.partition("CMD ")[2] for line in lines if line.startswith("HEALTHCHECK ")]
        assert json.loads(health)[0] == "python"

    def test_copy_only_files_of_the_build_context(self, dockerfile: Path) -> None:
        included = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
        copied = [line.split()[1] for line in instructions(dockerfile) if re.match(r"COPY (?!--from)", line)]
        assert set(copied) - {"."} <= set(included)
        assert [path for path in included if not (ROOT / path).exists()] == []


def test_worker_image_prefers_nvidias_egl_to_mesas() -> None:
    text = (DOCKER / "worker.Dockerfile").read_text()
    assert "/tmp/system-libraries" in text
    assert "NVIDIA_DRIVER_CAPABILITIES=all" in text
    assert "10_nvidia.json /usr/share/glvnd/egl_vendor.d/" in text
    vendor = json.loads((DOCKER / "10_nvidia.json").read_text())
    assert vendor == {"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}


class TestWorkerHealth:
    """`docker/worker-health`, the health check of the worker's image."""

    @pytest.mark.parametrize("name", [names.default(None), f"{names.default(None)}-2"])
    def test_is_good_with_a_recent_heartbeat(self, settings: Settings, database: Database, name: str) -> None:
        assert registry.join(database, replace(CPU, name=name))
        assert self.exit_code(settings) == 0

    def test_is_bad_when_the_heartbeat_is_old(self, settings: Settings, database: Database) -> None:
        assert registry.join(database, replace(CPU, name=names.default(None)))
        with database.write() as db:
            nodes.named(db, names.default(None)).seen_at = now() - timedelta(minutes=1)
        assert self.exit_code(settings) == 1

    @pytest.mark.usefixtures("database")
    def test_is_bad_without_a_node(self, settings: Settings) -> None:
        assert self.exit_code(settings) == 1

    @staticmethod
    def exit_code(settings: Settings) -> int:
        environment = os.environ | {"FARM_DATA": str(settings.data)}
        return subprocess.run([sys.executable, "docker/worker-health"], cwd=ROOT, env=environment).returncode


class TestCompose:
    def test_runs_existing_commands(self) -> None:
        commands = [service["command"] for service in SERVICES.values() if service["image"].startswith("plinth-")
                    and "command" in service]  # fmt: skip
        assert commands
        for command in commands:
            assert_is_farm_command(command)

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

    def test_does_not_restart_a_drained_worker(self) -> None:
        assert exit_codes.STOPPED == 0, "`on-failure` restarts after any other exit code"
        for service in WORKERS.values():
            assert (service["restart"], service["stop_grace_period"]) == ("on-failure", f"{STOP_MINUTES}m")
            assert service["shm_size"]

    def test_limits_memory_and_processes(self) -> None:
        for name, service in SERVICES.items():
            if service["image"].startswith("plinth-"):
                assert (service["pids_limit"] > 0, service["mem_limit"]) == (True, "${PLINTH_MEMORY:-8g}"), name

    def test_gives_workers_no_network_but_the_private_one(self) -> None:
        """Unless their PostgreSQL or S3 is elsewhere."""
        assert COMPOSE["networks"]["private"] == NODE["networks"]["private"] == {"internal": True}
        assert EXAMPLE["PLINTH_WORKER_NETWORK"] == "private"
        for service in WORKERS.values():
            assert service["networks"] == ["${PLINTH_WORKER_NETWORK:-private}"]
        for name in ("postgres", "redis"):
            assert "private" in SERVICES[name]["networks"]

    def test_checks_the_health_of_lasting_services(self) -> None:
        for name, service in SERVICES.items():
            checked = "healthcheck" in service or service["image"].startswith("plinth-")
            assert checked, name
        assert [name for name, service in SERVICES.items() if service.get("healthcheck") == {"disable": True}] == [
            "migrate",
            "reaper",
        ]

    def test_additional_node_has_the_same_workers(self) -> None:
        assert set(NODE["services"]) == set(WORKERS)
        for name, service in NODE["services"].items():
            assert service == {"extends": {"file": "compose.yaml", "service": name}}

    def test_example_sets_every_variable(self) -> None:
        text = (DOCKER / "compose.yaml").read_text() + (DOCKER / "compose.node.yaml").read_text()
        assert set(re.findall(r"\$\{(\w+)", text)) <= set(EXAMPLE)

    def test_example_urls_match_services_and_passwords(self) -> None:
        assert f":{EXAMPLE['POSTGRES_PASSWORD']}@postgres:5432/" in EXAMPLE["FARM_DATABASE_URL"]
        assert f":{EXAMPLE['REDIS_PASSWORD']}@redis:6379/" in EXAMPLE["FARM_REDIS_URL"]
        assert set(EXAMPLE["COMPOSE_PROFILES"].split(",")) <= {name.removeprefix("worker-") for name in WORKERS}

    def test_passes_docker_compose_config(self, tmp_path: Path) -> None:
        program = compose_program()
        if program is None:
            pytest.skip("docker compose is not installed")
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


class TestUnits:
    @pytest.mark.parametrize("unit", FARM_UNITS, ids=lambda path: path.name)
    def test_run_existing_commands_as_plinth(self, unit: Path) -> None:
        service = section(unit, "Service")
        for key in {"ExecStart", "ExecStartPre"} & set(service):
            assert_is_farm_command(service[key].split())
        assert (service["KillMode"], service["User"]) == ("mixed", "plinth")

    @pytest.mark.parametrize("unit", FARM_UNITS, ids=lambda path: path.name)
    def test_keep_files_private_and_may_open_enough(self, unit: Path) -> None:
        service = section(unit, "Service")
        assert (service["UMask"], int(service["LimitNOFILE"])) == ("0077", MAX_FILES)

    @pytest.mark.parametrize("unit", WORKER_UNITS, ids=lambda path: path.name)
    def test_do_not_restart_a_drained_worker(self, unit: Path) -> None:
        service = section(unit, "Service")
        assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", str(exit_codes.STOPPED))

    @pytest.mark.parametrize("unit", FARM_UNITS, ids=lambda path: path.name)
    def test_limit_memory_processes_and_sockets(self, unit: Path) -> None:
        service = section(unit, "Service")
        assert {"MemoryMax", "TasksMax", "RestrictAddressFamilies"} <= set(service)

    @pytest.mark.parametrize("unit", WORKER_UNITS, ids=lambda path: path.name)
    def test_keep_workers_from_the_internet(self, unit: Path) -> None:
        service = section(unit, "Service")
        assert service["IPAddressDeny"] == "any"
        assert "localhost" in service["IPAddressAllow"]

    @pytest.mark.parametrize("unit", WORKER_UNITS, ids=lambda path: path.name)
    def test_outlive_a_blender_that_runs_out_of_memory(self, unit: Path) -> None:
        assert section(unit, "Service")["OOMPolicy"] == "continue"

    @pytest.mark.parametrize("unit", WORKER_UNITS, ids=lambda path: path.name)
    def test_let_a_stopped_worker_finish_its_chunk(self, unit: Path) -> None:
        assert section(unit, "Service")["TimeoutStopSec"] == f"{STOP_MINUTES}min"

    def test_stop_the_workers_before_the_database(self) -> None:
        stop = "ExecStop=/usr/bin/docker compose stop"
        first, second = [line for line in COMPOSE_UNIT.read_text().splitlines() if line.startswith("ExecStop=")]
        assert (set(first.removeprefix(stop).split()), second) == (set(WORKERS), stop)

    def test_stop_before_systemd_forces_the_reboot(self) -> None:
        minutes = int(section(COMPOSE_UNIT, "Service")["TimeoutStopSec"].removesuffix("min"))
        assert STOP_MINUTES < minutes < REBOOT_MINUTES

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
    @pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
    def test_pass_systemd_analyze(self, unit: Path, tmp_path: Path) -> None:
        text = unit.read_text().replace("/opt/plinth/.venv/bin/farm", f"{Path(sys.executable).with_name('farm')}")
        text = text.replace("User=plinth", "User=root").replace("/usr/bin/docker", "/bin/true")
        copy = tmp_path / unit.name
        copy.write_text(text.replace("Requires=docker.service\n", ""))
        verified = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        assert (verified.returncode, verified.stderr) == (0, "")


def section(unit: Path, name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text())
    return dict(parser[name])
