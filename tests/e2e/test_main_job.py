"""The main job: a model is uploaded over HTTP, and a finished video is downloaded."""

import io
import itertools
import json
import struct
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.assets import ASSETS
from tests.support.farms import Farm
from tests.support.polling import until

ORDER = ["pending", "poster-processing", "poster-done", "video-processing", "done"]


@pytest.fixture(scope="session")
def product(farm: Farm) -> str:
    """The id of a finished share render of the sample product."""
    uploaded = farm.upload("product.glb", json.dumps({"aspect": "16:9", "bgColor": "#ffffff", "length": 3}))
    farm.wait_until_done(uploaded["renderId"])
    return str(uploaded["renderId"])


class TestStatus:
    def test_advances_in_order_with_the_poster_before_the_video(self, farm: Farm) -> None:
        render = farm.upload("walker.glb", '{"length": 12}')["renderId"]
        seen = [farm.render(render)["status"]]
        early_poster = False
        while seen[-1] not in ("done", "error"):
            status = farm.render(render)["status"]
            if status != seen[-1]:
                seen.append(status)
            if status == "video-processing" and not early_poster:
                early_poster = farm.client.get(f"/v1/renders/{render}/poster").status_code == 200
                assert farm.client.get(f"/v1/renders/{render}/video").status_code == 404
            time.sleep(0.02)
        assert seen == sorted(seen, key=ORDER.index)
        assert seen[-1] == "done"
        assert early_poster

    def test_counts_all_frames_as_progress(self, farm: Farm, product: str) -> None:
        assert farm.render(product)["progress"] == {"frames": 12, "of": 12}


class TestVideo:
    def test_has_the_format_of_the_contract(self, farm: Farm, product: str) -> None:
        with av.open(io.BytesIO(farm.download(product, "video")), mode="r") as container:
            [video] = container.streams.video
            context = video.codec_context
            frames = list(container.decode(video))
            assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
            assert (context.width, context.height) == (96, 54)
            assert video.average_rate == 4
            assert not container.streams.audio
        assert len(frames) == 3 * 4
        BT709, LIMITED = 1, 1
        assert (context.colorspace, context.color_primaries, context.color_trc) == (BT709, BT709, BT709)
        assert context.color_range == LIMITED

    def test_plays_while_it_loads(self, farm: Farm, product: str) -> None:
        boxes = boxes_of(farm.download(product, "video"))
        assert boxes.index("moov") < boxes.index("mdat")

    def test_stands_on_pure_white(self, farm: Farm, product: str) -> None:
        with av.open(io.BytesIO(farm.download(product, "video")), mode="r") as container:
            for frame in container.decode(video=0):
                picture = frame.to_ndarray(format="rgb24")
                assert picture[0, 0].min() >= 253
                assert picture[0, -1].min() >= 253

    def test_turns_in_every_frame_and_loops_without_a_jump(self, farm: Farm, product: str) -> None:
        with av.open(io.BytesIO(farm.download(product, "video")), mode="r") as container:
            pictures = [frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)]
        following = [np.abs(one - other).mean() for one, other in itertools.pairwise(pictures)]
        assert min(following) > 0.5
        seam = np.abs(pictures[-1] - pictures[0]).mean()
        assert seam < 3 * max(following)  # the last frame is one step before the first: no jump where the loop closes

    def test_has_a_thumb_of_a_quarter_of_each_side(self, farm: Farm, product: str) -> None:
        with av.open(io.BytesIO(farm.download(product, "thumb")), mode="r") as container:
            [video] = container.streams.video
            assert (video.codec_context.width, video.codec_context.height) == (24, 14)
            assert len(list(container.decode(video))) == 12


class TestPoster:
    def test_is_the_first_frame_with_an_exact_background(self, farm: Farm, product: str) -> None:
        picture = np.asarray(Image.open(io.BytesIO(farm.download(product, "poster?quality=full"))))
        assert picture.shape == (54, 96, 3)
        assert (picture[0, [0, -1]] == 255).all()
        middle = picture[8:46, 24:72].astype(int)
        assert (middle.max(axis=-1) - middle.min(axis=-1)).max() > 80, "the coloured product is not in the middle"

    def test_has_the_requested_background_colour(self, farm: Farm) -> None:
        render = farm.upload("embedded.gltf", '{"length": 3, "bgColor": "#12ab9f"}')["renderId"]
        farm.wait_until_done(render)
        picture = np.asarray(Image.open(io.BytesIO(farm.download(render, "poster?quality=full"))))
        assert tuple(picture[0, 0]) == (0x12, 0xAB, 0x9F)

    def test_shows_an_overlay_behind_the_product(self, farm: Farm, product: str) -> None:
        gradient = io.BytesIO()
        Image.new("RGB", (40, 40), (10, 120, 200)).save(gradient, "PNG")
        overlay = farm.client.post("/v1/overlays", files={"file": ("sky.png", gradient.getvalue())}).json()["data"][
            "id"
        ]
        render_settings = {"length": 3, "bgImageId": overlay, "bgColor": "#ff0000"}
        body = {"modelId": farm.render(product)["modelId"], "renderSettings": render_settings}
        render = farm.client.post("/v1/renders", json=body).json()["data"]["id"]
        farm.client.delete(f"/v1/overlays/{overlay}")  # an ordered render keeps its background
        farm.wait_until_done(render)
        picture = np.asarray(Image.open(io.BytesIO(farm.download(render, "poster?quality=full"))))
        assert tuple(picture[0, 0]) == (10, 120, 200)

    def test_shows_a_foreground_overlay_over_the_product(self, farm: Farm, product: str) -> None:
        logo, file = Image.new("RGBA", (96, 54), (0, 0, 0, 0)), io.BytesIO()
        logo.paste((200, 30, 40, 255), (0, 0, 48, 54))
        logo.save(file, "PNG")
        form = {"layer": "foreground"}
        answer = farm.client.post("/v1/overlays", files={"file": ("logo.png", file.getvalue())}, data=form)
        render_settings = {"length": 3, "fgImageId": answer.json()["data"]["id"]}
        body = {"modelId": farm.render(product)["modelId"], "renderSettings": render_settings}
        render = farm.client.post("/v1/renders", json=body).json()["data"]["id"]
        farm.wait_until_done(render)
        picture, bare = (
            np.asarray(Image.open(io.BytesIO(farm.download(each, "poster?quality=full")))) for each in (render, product)
        )
        assert (picture[:, :48] == (200, 30, 40)).all()
        assert (picture[:, 50:] == bare[:, 50:]).all()


class TestAnimation:
    def test_makes_a_video_with_the_requested_clip(self, farm: Farm) -> None:
        uploaded = farm.upload("walker.glb", '{"length": 3, "animation": "Walk", "reflector": true, "tiltX": 10}')
        render = farm.wait_until_done(uploaded["renderId"])
        assert render["renderSettings"]["animation"] == "Walk"

    def test_refuses_an_unknown_clip_and_lists_the_known_ones(self, farm: Farm) -> None:
        with (ASSETS / "walker.glb").open("rb") as file:
            answer = farm.client.post(
                "/v1/models", files={"file": ("walker.glb", file)}, data={"renderSettings": '{"animation": "Run"}'}
            )
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "invalid_settings"
        assert 'animation is "Run"' in error["message"]
        assert '"Walk"' in error["message"]


class TestAspect:
    @pytest.mark.parametrize(("aspect", "size"), [("1:1", (54, 54)), ("9:16", (54, 96))])
    def test_gives_the_frame_its_shape(self, farm: Farm, product: str, aspect: str, size: tuple[int, int]) -> None:
        model = farm.render(product)["modelId"]
        body = {"modelId": model, "renderSettings": {"aspect": aspect, "length": 3}}
        render = farm.client.post("/v1/renders", json=body).json()["data"]["id"]
        farm.wait_until_done(render)
        assert Image.open(io.BytesIO(farm.download(render, "poster?quality=full"))).size == size


class TestEffect:
    @pytest.mark.parametrize(
        "render_settings",
        [
            {"effect": "hero-spin", "sweepAngle": 360},
            {"effect": "showcase", "amplitude": 90},
            {"effect": "zoom-orbit", "zoomStart": 1.2, "zoomEnd": 0.5},
        ],
        ids=lambda render_settings: str(render_settings["effect"]),
    )
    def test_makes_a_video_and_shows_only_its_own_fields(
        self, farm: Farm, product: str, render_settings: dict[str, str | float]
    ) -> None:
        body = {"modelId": farm.render(product)["modelId"], "renderSettings": {"length": 3, **render_settings}}
        render = farm.wait_until_done(farm.client.post("/v1/renders", json=body).json()["data"]["id"])
        shown = render["renderSettings"]
        assert {field: shown[field] for field in render_settings} == render_settings
        assert set(shown) - set(render_settings) == set(farm.render(product)["renderSettings"]) - {"effect"}


class TestPro:
    @pytest.fixture(scope="class")
    @classmethod
    def pro(cls, farm: Farm, product: str) -> str:
        """The id of a finished pro render, 384x216."""
        render_settings = {"quality": "pro", "length": 3, "bgColor": "#12ab9f", "rotateY": 30}
        body = {"modelId": farm.render(product)["modelId"], "renderSettings": render_settings}
        render = farm.wait_until_done(farm.client.post("/v1/renders", json=body).json()["data"]["id"])
        return str(render["id"])

    def test_is_prores_4444_with_straight_alpha(self, farm: Farm, pro: str) -> None:
        answer = farm.client.get(f"/v1/renders/{pro}/video")
        assert answer.headers["content-type"] == "video/quicktime"
        with av.open(io.BytesIO(answer.content), mode="r") as container:
            [video] = container.streams.video
            context = video.codec_context
            frames = [frame.to_ndarray(format="rgba64le") for frame in container.decode(video)]
            assert (context.name, context.profile, context.codec_tag) == ("prores", "4444", "ap4h")
            assert context.pix_fmt in ("yuva444p10le", "yuva444p12le")
            assert (context.width, context.height) == (384, 216)
            assert video.average_rate == 4
            assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
            assert not container.streams.audio
        assert len(frames) == 12
        for frame in frames:
            alpha = frame[..., 3] / 65535
            assert (alpha[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
            assert alpha[108, 192] > 0.999
            shadow = (alpha > 0.02) & (alpha < 0.9)
            assert (frame[shadow, :3].max(axis=-1) < 2000).sum() > 100, "the soft shadow is black with opacity"

    def test_puts_the_colour_behind_all_other_files(self, farm: Farm, pro: str) -> None:
        colour = 0x12, 0xAB, 0x9F
        assert farm.render(pro)["hasWebVariant"]
        poster = np.asarray(Image.open(io.BytesIO(farm.download(pro, "poster?quality=full"))))
        assert poster.shape == (216, 384, 3)
        assert (poster[0, [0, -1]] == colour).all()
        for what, size in (("video?quality=web", (108, 192)), ("thumb", (54, 96))):
            with av.open(io.BytesIO(farm.download(pro, what)), mode="r") as container:
                pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert len(pictures) == 12
            assert pictures[0].shape[:2] == size
            assert np.abs(pictures[0][0, [0, -1]].astype(int) - colour).max() <= 2


class TestStandard:
    def test_comes_with_a_lighter_variant(self, farm: Farm, product: str) -> None:
        render_settings = {"quality": "standard", "length": 3, "vignette": 1}
        body = {"modelId": farm.render(product)["modelId"], "renderSettings": render_settings}
        render = farm.wait_until_done(farm.client.post("/v1/renders", json=body).json()["data"]["id"])
        assert render["hasWebVariant"]
        web = farm.download(render["id"], "video?quality=web")
        assert len(web) < render["fileSize"]
        with av.open(io.BytesIO(web), mode="r") as container:
            [first, *_] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert first.shape == (54, 96, 3)
        poster = np.asarray(Image.open(io.BytesIO(farm.download(render["id"], "poster?quality=full"))))
        assert poster.shape == (108, 192, 3)
        assert poster[0, 0].max() < 10, "the vignette is black in the corners"


class TestPreview:
    def test_comes_with_every_upload(self, farm: Farm) -> None:
        uploaded = farm.upload("draco.glb", '{"length": 3}')
        farm.wait_until_done(farm.preview_of(uploaded["modelId"])["id"])
        farm.wait_until_done(uploaded["renderId"])

    def test_reports_a_model_without_a_mesh(self, farm: Farm) -> None:
        uploaded = farm.upload("no_mesh.glb")
        for render in (farm.preview_of(uploaded["modelId"])["id"], uploaded["renderId"]):
            failed = farm.wait(render)
            assert failed["status"] == "error"
            assert "no mesh" in failed["errorMessage"]
        assert farm.client.get(f"/v1/renders/{uploaded['renderId']}/video").status_code == 404


class TestDelete:
    def test_stops_a_running_render_and_removes_its_files(self, farm: Farm, product: str) -> None:
        model = farm.render(product)["modelId"]
        body = {"modelId": model, "renderSettings": {"length": 30, "quality": "standard"}}
        render = farm.client.post("/v1/renders", json=body).json()["data"]["id"]
        until(lambda: farm.render(render), lambda shown: shown["status"] == "video-processing")
        assert farm.client.delete(f"/v1/renders/{render}").status_code == 200
        assert farm.client.get(f"/v1/renders/{render}").status_code == 404
        began = time.monotonic()
        until(lambda: work_folders(farm.scratch), lambda folders: not folders)
        assert time.monotonic() - began < 10
        until(lambda: (farm.data / "files" / "renders" / render).exists(), lambda exists: not exists)


def work_folders(scratch: Path) -> list[Path]:
    return list(scratch.glob("*/work-*"))


def boxes_of(mp4: bytes) -> list[str]:
    """The names of an MP4's top-level boxes, in order."""
    names, at = [], 0
    while at < len(mp4):
        size, name = struct.unpack(">I4s", mp4[at : at + 8])
        names.append(name.decode())
        at += size
    return names
