"""Templates without Blender: finding them, their .toml, and the setting `scene`."""

import shutil
from pathlib import Path
from typing import get_args

import pytest

from farm import templates
from farm.errors import BadTemplate, InvalidSettings
from farm.orders import plan
from farm.orders.render_settings import RenderSettings, allowed, parse
from farm.rendering.production import shot_setup
from farm.scene.shot import ENGINES
from farm.settings import Settings
from farm.tiers import Quality

GOOD = (templates.BUILT_IN / "studio.toml").read_text()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A studio's own folder of templates, with `shop` in it."""
    monkeypatch.setenv("FARM_TEMPLATES", str(tmp_path))
    for suffix in (".blend", ".toml"):
        shutil.copy(templates.BUILT_IN / f"studio{suffix}", tmp_path / f"shop{suffix}")
    return tmp_path


class TestBuiltIn:
    def test_are_dark_daylight_pedestal_and_studio(self) -> None:
        assert templates.names() == ["dark", "daylight", "pedestal", "studio"]

    @pytest.mark.parametrize("suffix", [".blend", ".toml"])
    def test_have_a_blend_and_a_toml_each(self, suffix: str) -> None:
        assert sorted(path.stem for path in templates.BUILT_IN.glob(f"*{suffix}")) == [
            "dark",
            "daylight",
            "pedestal",
            "studio",
        ]

    @pytest.mark.parametrize("name", ["dark", "daylight", "pedestal", "studio"])
    def test_have_a_title_and_at_least_four_samples_for_every_tier(self, name: str) -> None:
        template = templates.load(name)
        assert template.title == name.capitalize()
        assert template.samples.keys() == {"preview", "share", "standard", "4k", "pro"}
        assert min(template.samples.values()) >= 4
        assert {template.samples_by("eevee", tier) for tier in template.samples} == {4}
        assert {template.samples_by("cycles-optix", tier) for tier in template.samples} == {*template.samples.values()}

    @pytest.mark.parametrize("name", ["atlantis", "", "../tests/studio", "studio.blend"])
    def test_include_no_other_name(self, name: str) -> None:
        with pytest.raises(BadTemplate, match="dark, daylight, pedestal, studio"):
            templates.blend(name)


class TestOwnFolder:
    def test_adds_its_templates_to_the_built_in_ones(self, own: Path) -> None:
        assert templates.names() == ["dark", "daylight", "pedestal", "shop", "studio"]
        assert templates.blend("shop") == own / "shop.blend"

    def test_takes_precedence(self, own: Path) -> None:
        for suffix in (".blend", ".toml"):
            (own / f"shop{suffix}").rename(own / f"studio{suffix}")
        assert templates.blend("studio") == own / "studio.blend"

    def test_needs_both_files_of_a_template(self, own: Path) -> None:
        (own / "shop.toml").unlink()
        assert "shop" not in templates.names()

    def test_adds_its_templates_to_the_scenes(self, own: Path) -> None:  # noqa: ARG002
        assert parse({"scene": "shop"}).scene == "shop"
        assert '"shop"' in allowed("scene")

    def test_is_reported_if_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_TEMPLATES", "/nowhere")
        with pytest.raises(ValueError, match="templates"):
            Settings()


class TestScene:
    def test_defaults_to_studio(self) -> None:
        assert parse(None).scene == "studio"

    def test_is_refused_with_the_known_names_if_unknown(self) -> None:
        with pytest.raises(InvalidSettings) as refused:
            parse({"scene": "atlantis"})
        assert refused.value.message == (
            'renderSettings.scene is "atlantis", but must be one of "dark", "daylight", "pedestal", "studio"'
        )

    @pytest.mark.parametrize("scene", [None, 1, ["studio"], "../studio"])
    def test_must_be_the_name_of_a_template(self, scene: object) -> None:
        with pytest.raises(InvalidSettings, match=r"renderSettings\.scene is"):
            parse({"scene": scene})

    def test_identifies_the_shot(self) -> None:
        studio, dark = (plan.shot("a", RenderSettings(scene=scene), Settings()) for scene in ("studio", "dark"))
        assert (studio.template, dark.template) == ("studio", "dark")
        assert studio.digest != dark.digest

    @pytest.mark.parametrize("suffix", [".blend", ".toml"])
    def test_identifies_another_shot_once_a_file_has_changed(self, own: Path, suffix: str) -> None:
        before = plan.shot("a", RenderSettings(scene="shop"), Settings()).digest
        assert plan.shot("a", RenderSettings(scene="shop"), Settings()).digest == before
        with (own / f"shop{suffix}").open("ab") as file:
            file.write(b"#")
        assert plan.shot("a", RenderSettings(scene="shop"), Settings()).digest != before


class TestToml:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("pro = 16\n", "", "shop.toml: samples.pro is missing"),
            ("share = 12", "share = 3", "shop.toml: samples.share is 3, but must be from 4"),
            ("share = 12", "share = 5000", "shop.toml: samples.share is 5000, but must be from 4 to 4096"),
            ("share = 12", 'share = "6"', "shop.toml: samples.share is '6'"),
            ("share = 12", "share = 8\n8k = 8", "shop.toml: samples.8k is not a known key. Known: preview, share"),
            ("[samples]", "[sample]", "shop.toml: sample"),
            ("[samples]", "[eevee_samples]\nshare = 3\n[samples]", "shop.toml: eevee_samples.share is 3, but must be"),
            ("[samples]", "[eevee_samples]\n8k = 8\n[samples]", "shop.toml: eevee_samples.8k is not a known key"),
            ('title = "Studio"\n', "", "shop.toml: title is missing"),
            ('title = "Studio"', "title = 5", "shop.toml: title is 5"),
            ('title = "Studio"', 'title = "Studio"\ncolour = "red"', "shop.toml: colour is not a known key"),
            ("[samples]", "[samples", "shop.toml is not readable TOML"),
        ],
    )
    def test_is_refused_with_file_and_key_if_invalid(self, own: Path, old: str, new: str, message: str) -> None:
        assert old in GOOD
        (own / "shop.toml").write_text(GOOD.replace(old, new))
        with pytest.raises(BadTemplate) as refused:
            templates.load("shop")
        assert message in refused.value.message

    def test_sets_eevees_samples_of_the_tiers_that_it_names(self, own: Path) -> None:
        (own / "shop.toml").write_text(f"{GOOD}\n[eevee_samples]\npro = 32\n")
        spec = plan.shot("", parse({"scene": "shop", "quality": "pro"}), Settings(samples=None))
        drawn = {engine: shot_setup(spec, Path("model.glb"), engine).samples for engine in ENGINES}
        assert drawn == dict.fromkeys(ENGINES, 16) | {"eevee": 32}
        assert templates.load("shop").samples_by("eevee", "share") == templates.EEVEE_SAMPLES

    def test_makes_drafts_of_previews_alone(self) -> None:
        specs = [plan.shot("", parse({"quality": quality}), Settings()) for quality in get_args(Quality)]
        assert not any(shot_setup(spec, Path("model.glb"), "cycles").draft for spec in specs)
        preview = plan.shot("", parse({}), Settings(), preview=True)
        assert shot_setup(preview, Path("model.glb"), "cycles").draft

    def test_is_refused_if_it_is_no_text(self, own: Path) -> None:
        (own / "shop.toml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(BadTemplate, match=r"shop\.toml is not readable TOML"):
            templates.load("shop")
