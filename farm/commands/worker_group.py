"""Several workers on one machine, each a node with a Blender of its own, under one command."""

import os
import sys
from collections.abc import Sequence
from functools import partial

from farm.nodes import registry
from farm.processes.supervision import Child, run_until_stopped
from farm.settings import Settings

FARM_COMMAND = (sys.executable, "-m", "farm.cli")


def workers_of(settings: Settings, name: str, number: int, tags: Sequence[str] = ()) -> list[Child]:
    """So many workers, called NAME-1 and so on. One that an operator drains is retired until it is resumed."""
    options = ["--tags", ",".join(tags)] if tags else []
    return [
        Child(
            f"worker {own_name}",
            [*FARM_COMMAND, "worker", "--name", own_name, *options],
            wanted=partial(_is_wanted, settings.database, own_name),
        )
        for own_name in (f"{name}-{count}" for count in range(1, number + 1))
    ]


def run(settings: Settings, name: str, number: int, tags: Sequence[str]) -> None:
    """Keep workers running until told to stop, or until all of them are drained."""
    os.environ["FARM_DATA"] = str(settings.data.absolute())
    run_until_stopped(workers_of(settings, name, number, tags))


def _is_wanted(database_url: str, name: str) -> bool:
    return not registry.is_drained(database_url, name)
