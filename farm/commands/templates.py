"""`farm templates`: list, check and preview scene templates. Each command parses, calls one function and prints."""

import contextlib
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from farm import logs, templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.commands.shared import BackgroundFile, Set, console
from farm.errors import BadTemplate, FarmError, InvalidSettings
from farm.processes import sandbox
from farm.processes.scratch import own_scratch
from farm.settings import Settings
from farm.templates.contract import Violation

app = typer.Typer(no_args_is_help=True, help="Scene templates: the light and the look of a render.")

File = Annotated[str, typer.Argument(metavar="FILE.blend", help="A .blend, or the name of a template.")]


@app.command("list")
def list_templates() -> None:
    """List the templates that the render setting `scene` accepts."""
    broken = False
    for name, blend in sorted(templates.found().items()):
        try:
            template = templates.load(name)
            console.print(Text.assemble((f"{name:12} ", "bold"), f"{template.title}: {template.description}"))
        except BadTemplate as error:
            broken = True
            console.print(Text.assemble((f"{name:12} ", "bold"), ("broken", "red"), f": {error.message}"))
        if blend.parent != templates.BUILT_IN:
            console.print(f"{'':12} {blend}")
    raise typer.Exit(1 if broken else 0)


@app.command()
def check(file: File) -> None:
    """List all problems of a template, each with its fix. The exit code is 1 if there are any."""
    logs.configure("warning")
    settings = Settings()
    confined_by = sandbox.of_blender(settings)
    path = templates.locate(file)
    with (
        own_scratch(settings.scratch) as scratch,
        BlenderHost(scratch, confined_by) as host,
        Blender(host.socket_path, settings.frame_timeout) as blender,
    ):
        violations = blender.check(path)
    toml = path.with_suffix(".toml")
    try:
        templates.read_toml(toml)
    except BadTemplate as error:
        problem = error.message.removeprefix(f"{toml.name}: ")
        violations.append(Violation(toml.name, problem, "docs/artists.md has a complete example"))
    for violation in violations:
        console.print("bad ", style="red", end="")
        console.print(f"{violation.object}: {violation.problem}\n    {violation.fix}", markup=False)
    if violations:
        raise typer.Exit(1)
    console.print(f"{path.name} has no problems")


@app.command("preview")
def preview_template(
    file: File,
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to write, .png.")],
    model: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, show_default=False, help="A .glb or .gltf. Default: a stand-in for a product."
        ),
    ] = templates.STAND_IN,
    engine: Annotated[
        Literal["eevee", "cycles"] | None,
        typer.Option(help="The render engine. Default: the farm's choice."),
    ] = None,
    set_: Set = None,
    background: BackgroundFile = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="A sheet of eight stills along the effect.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw again whenever the file is saved, until Ctrl-C.")
    ] = False,
) -> None:
    """Draw a still with a template, or a contact sheet."""
    from farm.orders.render_settings import parse, read_pairs
    from farm.rendering import local, template_still
    from farm.rendering.engine import choose_engine

    logs.configure("warning")
    settings = Settings(engine=engine) if engine else Settings()
    confined_by = sandbox.of_blender(settings)
    path = templates.locate(file)
    chosen = read_pairs(set_ or [])
    if "scene" in chosen:
        raise InvalidSettings("renderSettings.scene is the template that is previewed: leave it out")
    request = parse(chosen)
    local.check(model, request, settings)
    preview = template_still.Preview(path, model, request, background, sheet)
    with own_scratch(settings.scratch) as scratch, contextlib.suppress(KeyboardInterrupt):
        chosen_engine = choose_engine(settings, scratch)
        with BlenderHost(scratch, confined_by) as host:
            for _ in template_still.saves(path) if watch else [None]:
                began = time.monotonic()
                try:
                    template_still.draw(host, preview, out, chosen_engine, settings)
                except FarmError as error:
                    if not watch:
                        raise
                    print(error.message, file=sys.stderr, flush=True)
                else:
                    console.print(f"{out}, {time.monotonic() - began:.1f} s")
