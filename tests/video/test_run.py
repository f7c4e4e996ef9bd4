"""Running ffmpeg: complete files, true colours, and failures with their reason."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from farm.errors import EncodingFailed
from farm.video import graphs
from farm.video.run import Encoder, executable
from tests.support.polling import until

FFMPEG = executable(None)
WIDTH, HEIGHT, FPS = 96, 54, 4
COLOURS = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (18, 171, 159), (128, 128, 128)]
Pixels = NDArray[np.uint8]


def flat(colour: tuple[int, int, int]) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), colour, dtype=np.uint8)


def arguments(folder: Path) -> list[str]:
    video = graphs.video(folder / "video.mp4", WIDTH, HEIGHT)
    thumb = graphs.thumb(folder / "thumb.mp4", WIDTH, HEIGHT)
    return graphs.h264([video, thumb], width=WIDTH, height=HEIGHT, fps=FPS)


def encode(arguments: list[str], folder: Path, frames: Iterable[Pixels]) -> None:
    with Encoder(FFMPEG, arguments, folder) as encoder:
        for frame in frames:
            encoder.write(frame)


def decode(path: Path) -> list[Pixels]:
    """The frames as a player that follows the tags shows them."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8) for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the video and the thumb of one flat frame of each colour."""
    folder = tmp_path_factory.mktemp("colours")
    encode(arguments(folder), folder, [flat(colour) for colour in COLOURS])
    return folder


def ffmpegs() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


class TestFiles:
    def test_contain_every_written_frame(self, colours: Path) -> None:
        for name, size in (("video.mp4", (54, 96, 3)), ("thumb.mp4", (14, 24, 3))):
            frames = decode(colours / name)
            assert [frame.shape for frame in frames] == [size] * len(COLOURS)

    def test_show_the_written_colours(self, colours: Path) -> None:
        for name in ("video.mp4", "thumb.mp4"):
            for frame, colour in zip(decode(colours / name), COLOURS, strict=True):
                assert np.abs(frame.astype(int) - colour).max() <= 2, (name, colour)

    def test_are_tagged_bt709_and_limited_range(self, colours: Path) -> None:
        bt709, limited = 1, 1
        for name in ("video.mp4", "thumb.mp4"):
            with av.open(str(colours / name)) as container:
                context = container.streams.video[0].codec_context
                assert (context.colorspace, context.color_primaries, context.color_trc) == (bt709, bt709, bt709)
                assert context.color_range == limited

    def test_have_a_key_frame_per_second_and_the_given_speed(self, colours: Path) -> None:
        with av.open(str(colours / "video.mp4")) as container:
            stream = container.streams.video[0]
            frames = list(container.decode(stream))
            assert [frame.key_frame for frame in frames] == [number % FPS == 0 for number in range(len(COLOURS))]
            assert [frame.time for frame in frames] == [number / FPS for number in range(len(COLOURS))]

    def test_are_complete_with_one_frame(self, tmp_path: Path) -> None:
        encode(arguments(tmp_path), tmp_path, [flat((9, 9, 9))])
        assert len(decode(tmp_path / "video.mp4")) == 1

    def test_accept_a_frame_that_is_not_contiguous(self, tmp_path: Path) -> None:
        left_red = flat((255, 255, 255))
        left_red[:, : WIDTH // 2] = (255, 0, 0)
        encode(arguments(tmp_path), tmp_path, [left_red[:, ::-1]])
        [frame] = decode(tmp_path / "video.mp4")
        assert frame[27, 5].min() > 250
        assert frame[27, -5].tolist() == pytest.approx([255, 0, 0], abs=3)

    def test_accept_frames_larger_than_a_pipe(self, tmp_path: Path) -> None:
        video, thumb = graphs.video(tmp_path / "v.mp4", 1920, 1080), graphs.thumb(tmp_path / "t.mp4", 1920, 1080)
        frame = np.full((1080, 1920, 3), 90, dtype=np.uint8)
        frame[540:] = 200
        encode(graphs.h264([video, thumb], width=1920, height=1080, fps=FPS), tmp_path, [frame, frame[::-1]])
        first, second = decode(tmp_path / "v.mp4")
        assert np.abs(first.astype(int) - frame).mean() < 2
        assert np.abs(second.astype(int) - frame[::-1]).mean() < 2


class TestFailure:
    def test_quotes_ffmpegs_message(self, tmp_path: Path) -> None:
        wrong = [word.replace("libx264", "no_such_encoder") for word in arguments(tmp_path)]
        with pytest.raises(EncodingFailed, match="Encoder not found") as failure:
            encode(wrong, tmp_path, [flat((0, 0, 0))] * 200)
        assert "\n" not in failure.value.message

    def test_names_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(EncodingFailed, match="No such file"):
            encode(arguments(tmp_path / "nowhere"), tmp_path, [flat((0, 0, 0))])

    @pytest.mark.parametrize("frames_after", [0, 200])
    def test_names_the_signal_that_killed_ffmpeg(self, tmp_path: Path, frames_after: int) -> None:
        def frames() -> Iterator[Pixels]:
            yield flat((0, 0, 0))
            [process] = until(ffmpegs)
            process.kill()
            yield from [flat((0, 0, 0))] * frames_after

        with pytest.raises(EncodingFailed, match="SIGKILL"):
            encode(arguments(tmp_path), tmp_path, frames())

    def test_kills_an_ffmpeg_that_does_not_finish(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def frames() -> Iterator[Pixels]:
            yield flat((0, 0, 0))
            until(ffmpegs)[0].suspend()

        monkeypatch.setattr("farm.video.run.FINISH_TIMEOUT_SECONDS", 0.5)
        with pytest.raises(EncodingFailed, match="did not finish"):
            encode(arguments(tmp_path), tmp_path, frames())
        assert not ffmpegs()

    def test_names_an_ffmpeg_that_cannot_be_started(self, tmp_path: Path) -> None:
        for broken in (tmp_path / "no-ffmpeg", tmp_path):
            with pytest.raises(EncodingFailed, match=broken.name):
                Encoder(broken, arguments(tmp_path), tmp_path)

    def test_kills_ffmpeg_when_the_caller_fails(self, tmp_path: Path) -> None:
        def frames() -> Iterator[Pixels]:
            yield flat((0, 0, 0))
            raise ZeroDivisionError

        began = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            encode(arguments(tmp_path), tmp_path, frames())
        assert time.monotonic() - began < 5
        assert not ffmpegs()

    def test_leaves_no_process_behind(self, tmp_path: Path) -> None:
        encode(arguments(tmp_path), tmp_path, [flat((0, 0, 0))])
        with pytest.raises(EncodingFailed):
            encode(arguments(tmp_path / "nowhere"), tmp_path, [flat((0, 0, 0))])
        assert not ffmpegs()


class TestExecutable:
    def test_is_the_configured_or_the_bundled_one(self) -> None:
        assert executable(Path("/x/ffmpeg")) == Path("/x/ffmpeg")
        assert executable(None).is_file()
