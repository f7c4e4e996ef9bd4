"""The lists of scenes and effects, with their stills."""

import io
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from camera_paths import PATHS
from farm import templates
from farm.orders.render_settings import parse
from tests.support.api import assert_error


@pytest.mark.parametrize("kind", ["scenes", "effects"])
class TestLists:
    def test_name_exactly_what_render_settings_accept(self, api: TestClient, kind: str) -> None:
        listed = api.get(f"/v1/{kind}").json()["data"]
        assert [item["name"] for item in listed] == (templates.names() if kind == "scenes" else list(PATHS))
        for item in listed:
            parse({kind.removesuffix("s"): item["name"]})
            assert item["title"]
            assert item["description"][0].isupper()

    def test_have_a_picture_of_each(self, api: TestClient, kind: str) -> None:
        for item in api.get(f"/v1/{kind}").json()["data"]:
            answer = api.get(item["still"])
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert Image.open(io.BytesIO(answer.content)).size[0] >= 480

    @pytest.mark.parametrize("name", ["none", "..%2f..%2fetc%2fpasswd", "%00", "a" * 255])
    def test_have_no_picture_of_an_unknown_name(self, api: TestClient, kind: str, name: str) -> None:
        assert_error(api.get(f"/v1/{kind}/{name}/still"), "not_found", 404)

    def test_require_a_key(self, public_api: TestClient, kind: str) -> None:
        assert_error(public_api.get(f"/v1/{kind}"), "unauthorized", 401)


def test_effects_have_their_own_fields(api: TestClient) -> None:
    effects = {effect["name"]: effect for effect in api.get("/v1/effects").json()["data"]}
    assert effects["reveal"]["fields"] == ["sweepAngle", "scaleFrom"]
    assert (effects["reveal"]["loops"], effects["turntable"]["loops"]) == (False, True)


def test_scenes_of_a_studio_are_listed_with_and_without_a_picture(
    api: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("bare", "broken"):
        shutil.copy(templates.BUILT_IN / "studio.blend", own / f"{name}.blend")
        shutil.copy(templates.BUILT_IN / "studio.toml", own / f"{name}.toml")
    (own / "broken.toml").write_text("title = 5")
    monkeypatch.setenv("FARM_TEMPLATES", str(own))
    scenes = {scene["name"]: scene for scene in api.get("/v1/scenes").json()["data"]}
    assert (scenes["bare"]["still"], "broken" in scenes) == (None, False)
    assert_error(api.get("/v1/scenes/bare/still"), "not_found", 404)
    shutil.copy(templates.BUILT_IN / "dark.jpg", own / "bare.jpg")
    assert api.get("/v1/scenes/bare/still").content == (own / "bare.jpg").read_bytes()
