"""`farm worker`: one node, or several side by side."""

import os
from typing import Annotated

import typer

from farm import logs
from farm.commands import worker_group
from farm.commands.shared import Data, fail, settings_with
from farm.errors import NodeRefused
from farm.nodes import gpus, names
from farm.processes import exit_codes


def run_worker(
    gpu: Annotated[int | None, typer.Option(min=0, help="Index of the GPU to render on; 0 is the first.")] = None,
    hosts: Annotated[
        int, typer.Option(min=1, max=64, help="Nodes to start on this machine, named NAME-1, NAME-2, ...")
    ] = 1,
    name: Annotated[str | None, typer.Option(help="Name of the node. Default: the machine's name.")] = None,
    tags: Annotated[str, typer.Option(help="Comma-separated tags, to which accounts can be bound.")] = "",
    data: Data = None,
) -> None:
    """Run one node: a worker with its own Blender. SIGTERM lets its current chunk finish; a second one releases it."""
    from farm.worker.worker import run

    settings = settings_with(data=data)
    logs.configure(settings.log_level)
    tag_list = [tag.strip() for tag in tags.split(",") if tag.strip()]
    try:
        if gpu is not None:
            os.environ |= gpus.choose(gpu)
        if hosts > 1:
            worker_group.run(settings, name or names.default(gpu), hosts, tag_list)
        else:
            run(settings, name=name, gpu=gpu, tags=tag_list)
    except NodeRefused as refusal:
        fail(str(refusal), exit_codes.REFUSED)
