"""The sheet of a camera path: a plan view, charts over time, and eight stills. Draws only; renders nothing."""

import inspect
from collections.abc import Sequence

from PIL import Image
from pydantic.alias_generators import to_camel

from farm.orders.effects import PATHS
from farm.orders.render_settings import RenderSettings
from farm.path_sheet.canvas import HAIRLINE, INK, SOFT, WASH, Canvas, text_width
from farm.path_sheet.charts import draw_charts
from farm.path_sheet.plan_view import draw_plan
from farm.path_sheet.samples import Sample, degrees

WIDTH, HEIGHT, MARGIN = 1440, 1024, 64
STILLS, STILL_SIZE, GAP = 8, 150, 16
STRIP_TOP = 778
CURVE_STEPS = 480


def times(request: RenderSettings) -> list[float]:
    """The normalised times of the stills: up to 1 or, for a loop, to one step before it returns to its start."""
    last = STILLS if PATHS[request.effect].loops else STILLS - 1
    return [index / last for index in range(STILLS)]


def draw_sheet(request: RenderSettings, stills: Sequence[Image.Image]) -> Image.Image:
    """Draw the sheet of the effect in `request`. `stills` are squares of STILL_SIZE, one for each of `times`."""
    path = PATHS[request.effect]
    options = {
        "easing": request.easing,
        "rotate_y": request.rotate_y,
        "zoom": request.zoom,
        **request.path_options,
    }
    curve = [path.pose(step / CURVE_STEPS, **options) for step in range(CURVE_STEPS + 1)]
    samples = [Sample(number, t, path.pose(t, **options)) for number, t in enumerate(times(request), start=1)]

    canvas = Canvas(WIDTH, HEIGHT)
    _draw_header(canvas, request)
    draw_plan(canvas, curve, samples, left=MARGIN, top=168, size=548)
    draw_charts(canvas, curve, samples, request.length, left=724, right=WIDTH - MARGIN, top=188, bottom=700)
    _draw_stills(canvas, samples, stills, request.length)
    return canvas.finish()


def _draw_header(canvas: Canvas, request: RenderSettings) -> None:
    path = PATHS[request.effect]
    canvas.text((MARGIN - 2, 96), path.title, 46)
    tag, x = "loops" if path.loops else "plays once", MARGIN + text_width(path.title, 46) + 20
    canvas.card(x, 69, x + text_width(tag, 16) + 24, 97, WASH, 14)
    canvas.text((x + 12, 83), tag, 16, SOFT, "lm")
    canvas.text((MARGIN, 132), path.description[0].upper() + path.description[1:], 20, SOFT)
    canvas.text((WIDTH - MARGIN, 92), _effect_settings(request), 20, INK, "rs")
    common = (
        f"easing {'on' if request.easing else 'off'}    rotateY {degrees(request.rotate_y)}    zoom {request.zoom:g}"
    )
    canvas.text((WIDTH - MARGIN, 132), f"{common}    {request.length:g} s", 18, SOFT, "rs")
    canvas.line([(MARGIN, 158), (WIDTH - MARGIN, 158)], HAIRLINE)


def _effect_settings(request: RenderSettings) -> str:
    """The effect's own fields with their values or defaults."""
    path = PATHS[request.effect]
    defaults = inspect.signature(path.pose).parameters
    values = {name: request.path_options.get(name, defaults[name].default) for name in path.options}
    return "    ".join(f"{to_camel(name)} {value:g}" for name, value in values.items())


def _draw_stills(canvas: Canvas, samples: Sequence[Sample], stills: Sequence[Image.Image], seconds: float) -> None:
    for sample, still in zip(samples, stills, strict=True):
        left = MARGIN + (sample.number - 1) * (STILL_SIZE + GAP)
        canvas.card(left - 1, STRIP_TOP - 1, left + STILL_SIZE + 1, STRIP_TOP + STILL_SIZE + 1, HAIRLINE)
        canvas.picture((left, STRIP_TOP), still)
        caption = STRIP_TOP + STILL_SIZE + 26
        canvas.badge((left + 12, caption), sample.number, sample.t)
        canvas.text((left + 32, caption), f"{sample.t * seconds:.2f} s", 16, INK, "lm")
        canvas.text((left + STILL_SIZE, caption), degrees(sample.pose.azimuth), 16, SOFT, "rm")
