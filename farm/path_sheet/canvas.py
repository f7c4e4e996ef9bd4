"""A canvas on top of Pillow: anti-aliased lines and shapes, and text."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Colour = tuple[int, int, int]

PAPER: Colour = (252, 251, 249)
INK: Colour = (27, 29, 34)
SOFT: Colour = (112, 116, 124)
HAIRLINE: Colour = (228, 226, 221)
WASH: Colour = (240, 238, 234)
WHITE: Colour = (255, 255, 255)
# The colours of time, from t = 0 to t = 1.
TIME_COLOURS: tuple[Colour, ...] = ((36, 99, 235), (138, 76, 214), (238, 84, 58))

SUPERSAMPLING = 4  # everything but text is drawn larger by this factor and scaled down


def time_colour(t: float) -> Colour:
    """The colour of the time `t` in [0, 1]."""
    position = min(max(t, 0.0), 1.0) * (len(TIME_COLOURS) - 1)
    index = min(int(position), len(TIME_COLOURS) - 2)
    pairs = zip(TIME_COLOURS[index], TIME_COLOURS[index + 1], strict=True)
    red, green, blue = (round(a + (b - a) * (position - index)) for a, b in pairs)
    return red, green, blue


class Canvas:
    """A canvas of `width` x `height` pixels, origin at the top left. Text is drawn on top of lines and shapes."""

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._image = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._text: list[tuple[Point, str, float, Colour, str]] = []
        self._pictures: list[tuple[Point, Image.Image]] = []

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        self._draw.line([_scaled(point) for point in points], colour, round(width * SUPERSAMPLING), joint="curve")

    def dashes(self, start: Point, end: Point, colour: Colour, length: float = 4) -> None:
        """A dashed hairline."""
        (x, y), (right, bottom) = start, end
        count = max(int(((right - x) ** 2 + (bottom - y) ** 2) ** 0.5 / (2 * length)), 1)
        for step in range(count):
            a, b = step / count, (step + 0.5) / count
            self.line([(x + (right - x) * t, y + (bottom - y) * t) for t in (a, b)], colour)

    def trace(self, points: Sequence[Point], width: float) -> None:
        """A line that changes colour with time, from its first point to its last."""
        last = len(points) - 1
        for index in range(last):
            self.line(points[index : index + 2], time_colour((index + 0.5) / last), width)
            self.dot(points[index + 1], width / 2, time_colour((index + 0.5) / last))

    def dot(
        self, centre: Point, radius: float, fill: Colour | None, rim: Colour | None = None, edge: float = 0
    ) -> None:
        (x, y), r = _scaled(centre), radius * SUPERSAMPLING
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill, rim, round(edge * SUPERSAMPLING))

    def shape(self, corners: Sequence[Point], fill: Colour) -> None:
        self._draw.polygon([_scaled(corner) for corner in corners], fill)

    def card(self, left: float, top: float, right: float, bottom: float, fill: Colour, radius: float = 0) -> None:
        """A filled rectangle with round corners."""
        self._draw.rounded_rectangle((*_scaled((left, top)), *_scaled((right, bottom))), radius * SUPERSAMPLING, fill)

    def picture(self, at: Point, image: Image.Image) -> None:
        """An image, its top left corner at `at`."""
        self._pictures.append((at, image))

    def text(self, at: Point, text: str, size: float, colour: Colour = INK, anchor: str = "ls") -> None:
        """A line of text; `anchor` as in Pillow, for example "ls": left end of the baseline."""
        self._text.append((at, text, size, colour, anchor))

    def badge(self, centre: Point, number: int, t: float, radius: float = 12) -> None:
        """A sample's number on a dot in the colour of its time."""
        self.dot(centre, radius, time_colour(t), PAPER, 1.5)
        self.text(centre, str(number), radius * 1.25, WHITE, "mm")

    def finish(self) -> Image.Image:
        """The finished picture, reduced to 256 colours: a third of the file size without a visible difference."""
        sheet = self._image.resize(self._size, Image.Resampling.BOX)
        for (x, y), image in self._pictures:
            sheet.paste(image, (round(x), round(y)))
        draw = ImageDraw.Draw(sheet)
        for at, text, size, colour, anchor in self._text:
            draw.text(at, text, colour, ImageFont.load_default(size), anchor)
        return sheet.quantize(256, Image.Quantize.MEDIANCUT, kmeans=2)


def text_width(text: str, size: float) -> float:
    """The width of a line of text in pixels."""
    return ImageFont.load_default(size).getlength(text)


def _scaled(point: Point) -> Point:
    return point[0] * SUPERSAMPLING, point[1] * SUPERSAMPLING
