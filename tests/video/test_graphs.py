"""The exact command lines for ffmpeg."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.video import graphs
from farm.video.graphs import Output

TO_VIDEO = (
    "flags=lanczos+accurate_rnd:in_range=full:out_color_matrix=bt709:out_range=tv",
    "color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv",
)
H264 = (
    "-flags +cgop -g 30 -map_metadata -1 -movflags +faststart -pix_fmt yuv420p"
    " -preset medium -profile:v high -sc_threshold 0 -vcodec libx264"
)


SIDES = st.integers(2, 4096)


def split(arguments: list[str]) -> tuple[str, str]:
    """The command line without its filter graph, and the graph."""
    words = list(arguments)
    graph = words.pop(words.index("-filter_complex") + 1)
    return " ".join(words), graph


class TestH264:
    @pytest.fixture
    def arguments(self) -> list[str]:
        makers = {"v": graphs.video, "w": graphs.web, "t": graphs.thumb}
        outputs = [make(Path(f"/f/{name}.mp4"), 1920, 1080) for name, make in makers.items()]
        return graphs.h264(outputs, width=1920, height=1080, fps=30)

    def test_reads_raw_frames_once_and_writes_all_files(self, arguments: list[str]) -> None:
        words, graph = split(arguments)
        assert words == (
            "-f rawvideo -framerate 30 -pix_fmt rgb24 -s 1920x1080 -i pipe: -filter_complex"
            f" -map [s5] -crf 18 {H264} /f/v.mp4"
            f" -map [s8] -crf 23 {H264} /f/w.mp4"
            f" -map [s11] -crf 24 {H264} /f/t.mp4"
            " -loglevel error -y"
        )
        assert graph.startswith("[0]split=3[s0][s1][s2];[s0]scale=1920:1080:")
        assert "[s5];[s1]scale=960:540:" in graph
        assert "[s8];[s2]scale=480:270:" in graph
        assert graph.endswith("[s11]")

    def test_turns_full_range_rgb_into_tagged_bt709(self, arguments: list[str]) -> None:
        _, graph = split(arguments)
        scale, tags = TO_VIDEO
        for size in ("1920:1080", "960:540", "480:270"):
            assert f"scale={size}:{scale}[" in graph
        assert graph.count(f"setparams={tags}[") == 3
        assert graph.count("format=yuv420p[") == 3


class TestProRes:
    def test_reads_deep_frames_and_writes_a_movie_with_alpha(self) -> None:
        words, graph = split(graphs.prores(Path("/f/v.mov"), width=3840, height=2160, fps=30))
        assert words == (
            "-f rawvideo -framerate 30 -pix_fmt rgba64le -s 3840x2160 -i pipe: -filter_complex"
            " -map [s2] -alpha_bits 16 -map_metadata -1 -movflags +faststart+write_colr -pix_fmt yuva444p10le"
            " -profile:v 4 -qscale:v 2 -vcodec prores_ks -vendor apl0 /f/v.mov -loglevel error -y"
        )
        scale, tags = TO_VIDEO
        assert graph == f"[0]scale=3840:2160:{scale}[s0];[s0]format=yuva444p10le[s1];[s1]setparams={tags}[s2]"


class TestSizes:
    @given(SIDES, SIDES)
    def test_are_the_frames_own_for_the_video(self, width: int, height: int) -> None:
        video = graphs.video(Path("x.mp4"), width, height)
        assert (video.width, video.height) == (width, height)

    @given(SIDES, SIDES)
    @pytest.mark.parametrize(("make", "part"), [(graphs.web, 2), (graphs.thumb, 4)])
    def test_are_the_documented_share_of_each_side_and_even(
        self, make: Callable[[Path, int, int], Output], part: int, width: int, height: int
    ) -> None:
        made = make(Path("x.mp4"), width, height)
        for side, small in ((width, made.width), (height, made.height)):
            assert small % 2 == 0
            assert small == 2 or abs(small - side / part) <= 1
            assert small >= 2

    def test_keep_the_shape_of_a_share_thumb(self) -> None:
        assert graphs.thumb(Path("x.mp4"), 960, 540) == Output(Path("x.mp4"), 240, 136, graphs.THUMB_CRF)
