"""Several workers on one machine, each a node with its own Blender, as children of one process."""

import os
import sys
from collections.abc import Sequence
from functools import partial

from farm.nodes import registry
from farm.processes.supervision import Child, run_until_stopped
from farm.settings import Settings

FARM_COMMAND = (sys.executable, "-m", "farm.cli")


def workers_of(settings: Settings, name: str, number: int, tags: Sequence[str] = ()) -> list[Child]:
    """`number` workers, named NAME-1, NAME-2, ... A drained worker is not restarted until it is resumed."""
    options = ["--tags", ",".join(tags)] if tags else []
    return [
        Child(
            f"worker {node_name}",
            [*FARM_COMMAND, "worker", "--name", node_name, *options],
            wanted=partial(_is_wanted, settings.database, node_name),
        )
        for node_name in (f"{name}-{index}" for index in range(1, number + 1))
    ]


def run(settings: Settings, name: str, number: int, tags: Sequence[str]) -> None:
    """Keep the workers running until a stop signal, or until all of them are drained."""
    os.environ["FARM_DATA"] = str(settings.data.absolute())
    run_until_stopped(workers_of(settings, name, number, tags))


def _is_wanted(database_url: str, name: str) -> bool:
    return not registry.is_drained(database_url, name)
