"""What ffmpeg is asked to do, to the letter."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from farm.video import graphs

TO_VIDEO = (
    "flags=lanczos+accurate_rnd:in_range=full:out_color_matrix=bt709:out_range=tv",
    "color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv",
)
H264 = (
    "-flags +cgop -g 30 -map_metadata -1 -movflags +faststart -pix_fmt yuv420p"
    " -preset medium -profile:v high -sc_threshold 0 -vcodec libx264"
)


def arguments() -> list[str]:
    return graphs.video_and_thumb(width=960, height=540, fps=30, video=Path("/f/v.mp4"), thumb=Path("/f/t.mp4"))


class TestVideoAndThumb:
    def test_reads_raw_frames_once_and_writes_both_files(self) -> None:
        asked = arguments()
        graph = asked.pop(asked.index("-filter_complex") + 1)
        words = " ".join(asked)
        assert words == (
            "-f rawvideo -framerate 30 -pix_fmt rgb24 -s 960x540 -i pipe: -filter_complex"
            f" -map [s4] -crf 18 {H264} /f/v.mp4"
            f" -map [s7] -crf 24 {H264} /f/t.mp4"
            " -loglevel error -y"
        )
        assert graph.startswith("[0]split=2[s0][s1];[s0]scale=960:540:")
        assert "[s4];[s1]scale=240:136:" in graph
        assert graph.endswith("[s7]")

    def test_turns_full_range_rgb_into_tagged_bt709(self) -> None:
        asked = arguments()
        graph = asked[asked.index("-filter_complex") + 1]
        scale, tags = TO_VIDEO
        for size in ("960:540", "240:136"):
            assert f"scale={size}:{scale}[" in graph
        assert graph.count(f"setparams={tags}[") == 2
        assert graph.count("format=yuv420p[") == 2


class TestThumb:
    @given(st.integers(2, 4096), st.integers(2, 4096))
    def test_is_a_quarter_of_each_side_and_even(self, width: int, height: int) -> None:
        for side, small in zip((width, height), graphs.thumb_size(width, height), strict=True):
            assert small % 2 == 0
            assert small >= 2
            assert abs(small - side / 4) <= 1 or small == 2

    def test_of_a_share_video_keeps_its_shape(self) -> None:
        assert graphs.thumb_size(960, 540) == (240, 136)
