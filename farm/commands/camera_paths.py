"""`farm camera-paths`: list the camera paths, and draw a sheet that shows one."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from farm import logs, templates
from farm.commands.shared import Json, console
from farm.orders.effects import BROKEN, PATHS
from farm.orders.path_check import violations
from farm.orders.render_settings import parse_pairs
from farm.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Camera paths: the camera movements of renders.")


@app.command("list")
def list_paths(as_json: Json = False) -> None:
    """List all camera paths. The exit code is 1 if a file is broken."""
    if as_json:
        shown: list[dict[str, object]] = [
            {"name": path.name, "loops": path.loops, "description": path.description} for path in PATHS.values()
        ]
        console.print_json(data=[*shown, *({"name": path.name, "broken": str(path)} for path in BROKEN.values())])
        raise typer.Exit(1 if BROKEN else 0)
    width = max(map(len, [*PATHS, *BROKEN]))
    for path in PATHS.values():
        console.print(Text.assemble((f"{path.name:{width}}", "bold"), f"  {path.description}"))
    for broken in BROKEN.values():
        console.print(Text.assemble((f"{broken.name:{width}}  ", "bold"), ("broken", "red"), f": {broken}"))
    raise typer.Exit(1 if BROKEN else 0)


@app.command()
def check(name: Annotated[str | None, typer.Argument(help="A camera path. Default: all of them.")] = None) -> None:
    """Prove the contract of camera paths: finite, in range, continuous, and closed if they loop.

    The exit code is 1 if one breaks it.
    """
    names = [name] if name else [*PATHS, *BROKEN]
    found = [(name, violation) for name in names for violation in violations(name)]
    for name_, violation in found:
        console.print("bad ", style="red", end="")
        console.print(f"{name_}: {violation}", markup=False)
    if found:
        raise typer.Exit(1)
    console.print(f"{', '.join(names)}: no problems")


@app.command()
def preview(
    name: Annotated[str, typer.Argument(help="A camera path from `farm camera-paths list`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The sheet to write, .png.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A render setting, key=value. Repeatable.")] = None,
    model: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, show_default=False, help="A .glb or .gltf. Default: a stand-in for a product."
        ),
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
