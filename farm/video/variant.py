"""A variant: composites and encodes drawn frames into the files of one render."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from farm.orders.plan import ShotSpec, even
from farm.orders.render_settings import RenderSettings
from farm.scene.shot import Frame
from farm.tiers import TIERS
from farm.video import backgrounds, graphs
from farm.video.backgrounds import OverlayPicture
from farm.video.composite import Compositor
from farm.video.cutout import Cutout
from farm.video.layers import Pixels
from farm.video.run import Encoder

POSTER_LONG_SIDE_PIXELS = 480
STILL_QUALITY = 85  # of a JPEG


@dataclass(frozen=True)
class Files:
    """Paths of a render's finished files, or of a chunk's part of them, by asset kind.

    The posters exist once the shot's `poster_frame` is written or saved, the videos at the end. The quality tier
    decides which videos there are.
    """

    folder: Path
    tier: str

    @property
    def posters(self) -> dict[str, Path]:
        return posters(self.folder)

    @property
    def videos(self) -> dict[str, Path]:
        tier = TIERS[self.tier]
        video = self.folder / ("video.mov" if tier.has_alpha else "video.mp4")
        web = {"web": self.folder / "web.mp4"} if tier.has_web else {}
        return {"video": video, **web, "thumb": self.folder / "thumb.mp4"}


class Variant:
    """Accepts frames of a shot in order, all or a chunk's, inside a `with` block; leaving it completes the files.

    `picture` replaces the settings' background colour; `foreground` lies over the finished frames. In a tier with alpha
    the video itself has no background; the other files have one. Raises EncodingFailed, or RenderFailed over an
    unreadable picture.
    """

    def __init__(
        self,
        spec: ShotSpec,
        request: RenderSettings,
        picture: OverlayPicture | None,
        files: Files,
        ffmpeg: Path,
        *,
        foreground: OverlayPicture | None = None,
    ) -> None:
        size = spec.width, spec.height
        background = (
            backgrounds.cover(picture, request.background, *size)
            if picture
            else backgrounds.plain(request.background, *size)
        )
        vignette = request.vignette or 0.0
        above = backgrounds.foreground(foreground, *size) if foreground else None
        self._compositor = Compositor(background, vignette, above)
        self._cutout = Cutout(*size, vignette, above) if TIERS[files.tier].has_alpha else None
        self._spec, self._files, self._ffmpeg = spec, files, ffmpeg
        self._encoders = ExitStack()

    def write(self, frame: Frame) -> None:
        """Composite and encode the next frame; the shot's `poster_frame` is also saved as posters."""
        picture = self._compositor.over(frame)
        if frame.number == self._spec.poster_frame:
            save_posters(picture, self._files)
        self._opaque.write(picture)
        if self._cutout:
            self._transparent.write(self._cutout.of(frame))

    def save_posters(self, frame: Frame) -> None:
        """Composite the frame and save it as posters, without encoding it; may be called before the block."""
        save_posters(self._compositor.over(frame), self._files)

    def __enter__(self) -> Self:
        rate = {"width": self._spec.width, "height": self._spec.height, "fps": self._spec.fps}
        with ExitStack() as started:
            videos = graphs.h264(self._outputs(), **rate)
            self._opaque = started.enter_context(Encoder(self._ffmpeg, videos, self._files.folder))
            if self._cutout:
                movie = graphs.prores(self._files.videos["video"], **rate)
                self._transparent = started.enter_context(Encoder(self._ffmpeg, movie, self._files.folder))
            self._encoders = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoders.__exit__(kind, error, trace)

    def _outputs(self) -> list[graphs.Output]:
        makers = {"video": graphs.video, "web": graphs.web, "thumb": graphs.thumb}
        mp4s = {kind: path for kind, path in self._files.videos.items() if path.suffix == ".mp4"}
        return [makers[kind](path, self._spec.width, self._spec.height) for kind, path in mp4s.items()]


def save_posters(picture: Pixels, files: Files) -> None:
    """Save a frame as a full PNG and as a small one for previews."""
    full = Image.fromarray(picture)
    full.save(files.posters["poster-full"])
    save_thumbnails(full, files.posters)


def posters(folder: Path) -> dict[str, Path]:
    """The paths of a render's stills by asset kind."""
    return {
        "poster": folder / "poster-small.png",
        "poster-full": folder / "poster.png",
        "thumb-still": folder / "thumb.jpg",
    }


def save_thumbnails(picture: Image.Image, files: dict[str, Path]) -> None:
    """Save a picture as a small PNG for previews, and as a JPEG of the size of the thumbnail video."""
    width, height = picture.size
    still = picture.resize((even(width / 4), even(height / 4)), Image.Resampling.LANCZOS)
    still.save(files["thumb-still"], quality=STILL_QUALITY, optimize=True)
    path = files["poster"]
    picture.thumbnail((POSTER_LONG_SIDE_PIXELS, POSTER_LONG_SIDE_PIXELS), Image.Resampling.LANCZOS)
    picture.save(path, optimize=True)
