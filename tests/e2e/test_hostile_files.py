"""Hundreds of hostile files of one account at a running farm, beside the work of another."""

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from farm.db.session import Database
from farm.db.tables import Node
from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import Farm, farm_up
from tests.support.hostile import HostileFile, hostile_files
from tests.support.processes import FARM

# Limits of numbers let the files through: what they hold is to be refused or survived.
WIDE_OPEN: dict[str, Any] = {
    "FARM_ENGINE": "cycles",
    "FARM_UPLOAD_LIMIT": "10000",
    "FARM_KEY_WRITES_PER_MINUTE": "100000",
    "FARM_ACCOUNT_WRITES_PER_MINUTE": "100000",
    "FARM_OPENING_TIMEOUT": "30",
    "FARM_MIN_BUDGET": "30",
    "FARM_LOG_LEVEL": "error",
}


def test_hurt_neither_the_farm_nor_another_account(tmp_path: Path) -> None:
    with farm_up(tmp_path, **WIDE_OPEN) as farm:
        before = [farm.api(), farm.redis(), *farm.workers()]
        with attacker_of(farm) as attacker:
            for number, file in enumerate(hostile_files()):
                upload(attacker, file)
                if number == 300:
                    others = farm.upload("product.glb", json.dumps({"length": 3}))
        farm.wait_until_done(others["renderId"])
        assert_consistent(farm, workers=1)
        assert all(process.is_running() for process in before)
        assert nodes_without_work(farm) == []
    assert_no_processes(farm)


def attacker_of(farm: Farm) -> httpx.Client:
    """A client with an account of its own."""
    environment = os.environ | {"FARM_DATA": str(farm.data)}
    for arguments in (
        ["accounts", "create", "attacker@localhost", "--credits", "1000"],
        ["keys", "create", "attacker@localhost"],
    ):
        created = subprocess.run([FARM, *arguments], check=True, capture_output=True, text=True, env=environment)
    headers = {"Authorization": f"Bearer {created.stdout.strip()}"}
    return httpx.Client(base_url=farm.client.base_url, headers=headers, timeout=60)


def upload(attacker: httpx.Client, file: HostileFile) -> None:
    """Upload a file, and assert that it is accepted or refused as the API documents it."""
    form = {"renderSettings": json.dumps({"length": 3})}
    response = attacker.post("/v1/models", files={"file": (file.name, file.content)}, data=form)
    if response.status_code != 201:
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "invalid_format"), (file.description, error)


def nodes_without_work(farm: Farm) -> list[str]:
    """The names of the nodes that are quarantined or have to render the test model first."""
    with contextlib.closing(Database(farm.settings.database)) as database, database.read() as db:
        kept_out = Node.quarantined_at.is_not(None) | Node.check_due_at.is_not(None)
        return list(db.scalars(select(Node.name).where(kept_out)))
