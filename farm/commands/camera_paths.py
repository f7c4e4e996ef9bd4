"""`farm camera-paths`: list the camera paths, and draw a sheet that shows one."""

from pathlib import Path
from typing import Annotated

import typer

from camera_paths import PATHS
from farm import logs, templates
from farm.commands.shared import Json, console
from farm.orders.render_settings import parse_pairs
from farm.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Camera paths: the camera movements of renders.")


@app.command("list")
def list_paths(as_json: Json = False) -> None:
    """List all camera paths."""
    if as_json:
        shown = [{"name": path.name, "loops": path.loops, "description": path.description} for path in PATHS.values()]
        console.print_json(data=shown)
        return
    width = max(map(len, PATHS))
    for path in PATHS.values():
        console.print(f"[bold]{path.name:{width}}[/]  {path.description}")


@app.command()
def preview(
    name: Annotated[str, typer.Argument(help="A camera path from `farm camera-paths list`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The sheet to write, .png.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A render setting, key=value. Repeatable.")] = None,
    model: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="A .glb or .gltf instead of the stand-in.")
    ] = templates.STAND_IN,
) -> None:
    """Draw a sheet that shows a camera path: from above, over time, and in eight stills."""
    from farm import path_sheet
    from farm.rendering import local

    logs.configure("warning")
    request = parse_pairs([f"effect={name}", *(set_ or [])])
    local.prepare_output(out, ".png")
    stills = local.stills(model, request, Settings(), times=path_sheet.times(request), size=path_sheet.STILL_SIZE)
    path_sheet.draw_sheet(request, stills).save(out, optimize=True)
    console.print(str(out))
