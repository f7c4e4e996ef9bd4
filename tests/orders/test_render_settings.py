"""The render settings: valid and invalid values, and error messages."""

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from farm.errors import InvalidSettings
from farm.orders.render_settings import FIELDS, SCHEMA, RenderSettings, allowed, parse, parse_json

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
# Fields with rules about combinations.
CHOICES: dict[str, list[Any]] = {
    "output": ["video", "dataset"],
    "effect": ["dataset", "turntable", "hero-spin"],
    "datasetQuality": [None, "196x1024"],
    "coverage": [None, "sphere"],
    "formats": [None, ["all"]],
    "sweepAngle": [None, 90],
    "animation": [None, "*"],
    "vignette": [None, 0.5],
}
FORMATS = '"nerfstudio", "colmap", "nerf-synthetic", "rgba", "metric-depth", "downscaled", "all"'
LENGTH = "a number from 3 to 30 (to 600 for admins)"
GOOD = st.fixed_dictionaries(
    {},
    optional={
        "scene": st.sampled_from(["studio", "daylight", "dark", "pedestal"]),
        "quality": st.sampled_from(["share", "standard", "4k", "pro"]),
        "vignette": st.floats(0, 1),
        "aspect": st.sampled_from(["16:9", "1:1", "9:16"]),
        "bgColor": st.from_regex(r"\A#[0-9a-fA-F]{6}\Z"),
        "bgImageId": st.from_regex(r"\A[A-Za-z0-9]{12}\Z"),
        "bgAlign": st.sampled_from(["top-left", "center", "bottom-right"]),
        "length": st.floats(3, 600) | st.integers(3, 600),
        "animation": st.text(min_size=1, max_size=200),
        "animationSpeed": st.floats(0.1, 10),
        "shadows": st.booleans(),
        "reflector": st.booleans(),
        "easing": st.booleans(),
        "rotateY": st.integers(-180, 180),
        "tiltX": st.integers(-90, 90),
        "panX": st.integers(-180, 180),
        "rollZ": st.integers(-180, 180),
        "zoom": st.floats(0.5, 2),
    },
)


class TestDefaults:
    @pytest.mark.parametrize("nothing", [None, {}])
    def test_match_the_reference(self, nothing: Any) -> None:
        assert parse(nothing).to_wire() == {
            "output": "video",
            "quality": "share",
            "effect": "turntable",
            "scene": "studio",
            "aspect": "16:9",
            "bgColor": "#ffffff",
            "bgAlign": "top-left",
            "length": 6,
            "animationSpeed": 1,
            "shadows": True,
            "reflector": False,
            "easing": True,
            "rotateY": 0,
            "tiltX": 0,
            "panX": 0,
            "rollZ": 0,
            "zoom": 1.0,
        }


class TestGoodSettings:
    @given(render_settings=GOOD)
    def test_keep_every_value_and_survive_storage(self, render_settings: dict[str, Any]) -> None:
        settings = parse(render_settings)
        assert settings.to_wire().items() >= render_settings.items()
        assert parse(json.loads(json.dumps(settings.to_wire()))) == settings
        assert parse_json(json.dumps(render_settings)) == settings

    def test_have_the_background_as_rgb(self) -> None:
        assert parse({"bgColor": "#FF8001"}).background == (255, 128, 1)

    @pytest.mark.parametrize("field", ["rotateY", "tiltX", "panX", "rollZ"])
    def test_reads_a_whole_float_as_an_integer(self, field: str) -> None:
        for text, value in (("45.0", 45), ("-9e1", -90), ("-0.0", 0)):
            degrees = parse_json(f'{{"{field}": {text}}}').to_wire()[field]
            assert (degrees, type(degrees)) == (value, int)
        for text in ("45.5", "1e3", '"45"', "true"):
            with pytest.raises(InvalidSettings, match=f"renderSettings.{field} is "):
                parse_json(f'{{"{field}": {text}}}')


class TestBadSettings:
    @pytest.mark.parametrize(
        ("render_settings", "message"),
        [
            ({"length": 2.9}, f"renderSettings.length is 2.9, but must be {LENGTH}"),
            ({"length": "6"}, f'renderSettings.length is "6", but must be {LENGTH}'),
            ({"length": True}, f"renderSettings.length is true, but must be {LENGTH}"),
            ({"length": float("nan")}, f"renderSettings.length is NaN, but must be {LENGTH}"),
            ({"rotateY": 181}, "renderSettings.rotateY is 181, but must be an integer from -180 to 180"),
            ({"rotateY": 1.5}, "renderSettings.rotateY is 1.5, but must be an integer from -180 to 180"),
            ({"zoom": None}, "renderSettings.zoom is null, but must be a number from 0.5 to 2"),
            ({"shadows": 1}, "renderSettings.shadows is 1, but must be true or false"),
            ({"vignette": 1.01}, "renderSettings.vignette is 1.01, but must be a number from 0 to 1"),
            (
                {"bgImageId": "../overlays/x"},
                'renderSettings.bgImageId is "../overlays/x", but must be the id of an overlay, 12 letters and digits',
            ),
            (
                {"bgAlign": "middle"},
                'renderSettings.bgAlign is "middle", but must be one of "top-left", "top-center", "top-right", '
                '"center-left", "center", "center-right", "bottom-left", "bottom-center", "bottom-right"',
            ),
            ({"aspect": "4:3"}, 'renderSettings.aspect is "4:3", but must be one of "16:9", "1:1", "9:16"'),
            (
                {"effect": "explode"},
                'renderSettings.effect is "explode", but must be one of '
                '"hero-spin", "reveal", "showcase", "turntable", "zoom-orbit", "dataset"',
            ),
            (
                {"effect": "hero-spin", "sweepAngle": 9},
                "renderSettings.sweepAngle is 9, but must be a number from 10 to 1080",
            ),
            (
                {"effect": "showcase", "zoomEnd": 1},
                'renderSettings.zoomEnd does not belong to effect "showcase", but to "zoom-orbit"',
            ),
            (
                {"sweepAngle": 90},
                'renderSettings.sweepAngle does not belong to effect "turntable", but to "hero-spin", "reveal"',
            ),
            (
                {"effect": "reveal", "scaleFrom": 1.1},
                "renderSettings.scaleFrom is 1.1, but must be a number from 0 to 1",
            ),
            ([], "renderSettings must be a JSON object"),
            ("{}", "renderSettings must be a JSON object"),
        ],
    )
    def test_are_reported_with_value_and_allowed_values(self, render_settings: Any, message: str) -> None:
        with pytest.raises(InvalidSettings) as refused:
            parse(render_settings)
        assert refused.value.message == message

    @pytest.mark.parametrize("colour", ["ffffff", "#fff", "#gggggg", "#ffffff ", "#ffffff\n", "white", "#\u0661" * 6])
    def test_include_colours_without_six_hex_digits(self, colour: str) -> None:
        with pytest.raises(InvalidSettings, match="six hex digits"):
            parse({"bgColor": colour})

    @pytest.mark.parametrize("name", ["bgcolor", "bg_color", "rotate_y", "modelId", ""])
    def test_include_unknown_fields(self, name: str) -> None:
        with pytest.raises(InvalidSettings, match=", ".join(FIELDS)):
            parse({name: "#000000"})

    def test_are_quoted_in_part_if_long(self) -> None:
        with pytest.raises(InvalidSettings) as refused:
            parse({"quality": "x" * 100_000})
        assert len(refused.value.message) < 200

    def test_are_refused_if_nested_too_deeply_to_be_quoted(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(InvalidSettings, match=r"length is nested too deeply, but must be a number"):
            parse({"length": deep})

    @given(value=JSON_VALUES)
    def test_never_raise_another_error(self, value: Any) -> None:
        for render_settings in (value, *({field: value} for field in FIELDS)):
            with contextlib.suppress(InvalidSettings):
                assert isinstance(parse(render_settings), RenderSettings)


class TestDatasets:
    @pytest.mark.parametrize(
        "render_settings",
        [
            {"output": "dataset"},
            {"effect": "dataset"},
            {"output": "dataset", "effect": "dataset"},
            {"output": "dataset", "effect": "turntable", "aspect": "1:1", "length": 6},
            {"output": "dataset", "datasetQuality": None, "coverage": None, "animation": None},
        ],
    )
    def test_are_requested_by_output_or_effect(self, render_settings: dict[str, Any]) -> None:
        settings = parse(render_settings)
        assert settings.is_dataset
        wire = settings.to_wire()
        spelled_out = {"output": "dataset", "effect": "dataset", "datasetQuality": "100x800", "coverage": "hemisphere"}
        assert wire.items() >= spelled_out.items()
        assert wire["formats"] == ["nerfstudio"]
        assert parse(wire) == settings

    def test_keep_the_requested_tier_and_coverage(self) -> None:
        settings = parse({"output": "dataset", "datasetQuality": "400x2048", "coverage": "sphere"})
        assert (settings.dataset_quality, settings.coverage) == ("400x2048", "sphere")

    def test_differ_from_videos(self) -> None:
        assert not parse({}).is_dataset
        assert "datasetQuality" not in parse({}).to_wire()

    @pytest.mark.parametrize(
        ("render_settings", "message"),
        [
            (
                {"datasetQuality": "100x800"},
                'renderSettings.datasetQuality belongs to datasets: send "output": "dataset" as well',
            ),
            ({"coverage": "sphere"}, 'renderSettings.coverage belongs to datasets: send "output": "dataset" as well'),
            (
                {"output": "dataset", "datasetQuality": "100x801"},
                'renderSettings.datasetQuality is "100x801", but must be one of "100x800", "196x1024", "400x2048"',
            ),
            (
                {"output": "dataset", "coverage": "dome"},
                'renderSettings.coverage is "dome", but must be one of "hemisphere", "sphere"',
            ),
            *(
                (
                    {"output": "dataset", "formats": wrong},
                    f"renderSettings.formats {found}, but must be a list of {FORMATS}",
                )
                for wrong, found in (
                    ([], "is []"),
                    ("colmap", 'is "colmap"'),
                    (["colmap", "ply"], 'has "ply"'),
                    ([["colmap"]], 'has ["colmap"]'),
                )
            ),
            ({"formats": ["all"]}, 'renderSettings.formats belongs to datasets: send "output": "dataset" as well'),
            ({"output": "splat"}, 'renderSettings.output is "splat", but must be one of "video", "dataset"'),
            (
                {"output": "dataset", "sweepAngle": 90},
                'renderSettings.sweepAngle does not belong to effect "dataset", but to "hero-spin", "reveal"',
            ),
            (
                {"output": "dataset", "effect": "hero-spin"},
                'renderSettings.effect is "hero-spin", but must be "dataset" or left out: a dataset is requested',
            ),
            (
                {"output": "video", "effect": "dataset"},
                'renderSettings.output is "video", but must be "dataset" or left out: a dataset is requested',
            ),
            ({"output": "dataset", "animation": "*"}, "renderSettings.animation belongs to videos: leave it out"),
            ({"effect": "dataset", "vignette": 0.5}, "renderSettings.vignette belongs to videos: leave it out"),
        ],
    )
    def test_are_refused_with_the_reason(self, render_settings: Any, message: str) -> None:
        with pytest.raises(InvalidSettings) as refused:
            parse(render_settings)
        assert refused.value.message == message

    @given(
        render_settings=st.fixed_dictionaries(
            {}, optional={field: st.sampled_from(CHOICES[field]) for field in CHOICES}
        )
    )
    def test_agree_with_the_json_schema(self, render_settings: dict[str, Any]) -> None:
        try:
            parse(render_settings)
            accepted = True
        except InvalidSettings:
            accepted = False
        assert Draft202012Validator(SCHEMA).is_valid(render_settings) == accepted


class TestJsonText:
    @pytest.mark.parametrize("text", ["", "{", "length=3", '{"length":NaN}', '{"zoom":Infinity}', "[" * 100_000])
    def test_is_refused_if_it_is_not_json(self, text: str) -> None:
        with pytest.raises(InvalidSettings, match="not valid JSON"):
            parse_json(text)

    @given(text=st.text())
    def test_never_raise_another_error(self, text: str) -> None:
        with contextlib.suppress(InvalidSettings):
            parse_json(text)


class TestAllowed:
    @pytest.mark.parametrize(
        ("field", "words"),
        [
            ("output", 'one of "video", "dataset"'),
            ("datasetQuality", 'one of "100x800", "196x1024", "400x2048"'),
            ("formats", f"a list of {FORMATS}"),
            ("scene", 'one of "dark", "daylight", "pedestal", "studio"'),
            ("length", LENGTH),
            ("bgColor", 'a colour such as "#ff8800": # and six hex digits'),
            ("bgImageId", "the id of an overlay, 12 letters and digits"),
            ("animation", "a text of 1 to 256 characters"),
            ("shadows", "true or false"),
            ("rotateY", "an integer from -180 to 180"),
            ("zoomStart", "a number from 0.1 to 3"),
        ],
    )
    def test_describes_each_type_of_field(self, field: str, words: str) -> None:
        assert allowed(field) == words

    @pytest.mark.parametrize("field", FIELDS)
    def test_describes_every_field(self, field: str) -> None:
        assert re.match(r"(one of \"|a list of \"|true or false$|an? \w+ (from|of|such) |the id )", allowed(field))


class TestAgainstTheModel:
    @pytest.mark.parametrize("clips", [["Walk", "Run"], ["", "Walk"]])
    def test_accept_a_clip_by_name_or_star(self, clips: list[str]) -> None:
        for animation in ("Walk", "*"):
            parse({"animation": animation}).check_against(clips, admin=False)
        parse({"animation": "*"}).check_against([""], admin=False)

    @pytest.mark.parametrize(
        ("animation", "clips", "allowed"),
        [
            ("Fly", ["Walk", "Run"], 'one of the model\'s clips: "Walk", "Run"; or "*" for the first'),
            ("Fly", [""], 'one of the model\'s clips: none has a name; or "*" for the first'),
            ("*", [], "left out: the model has no animation clips"),
        ],
    )
    def test_refuse_another_clip_and_list_the_existing(self, animation: str, clips: list[str], allowed: str) -> None:
        with pytest.raises(InvalidSettings) as refused:
            parse({"animation": animation}).check_against(clips, admin=False)
        assert refused.value.message == f'renderSettings.animation is "{animation}", but must be {allowed}'

    def test_refuse_more_than_30_seconds_for_non_admins(self) -> None:
        parse({"length": 30}).check_against([], admin=False)
        parse({"length": 600}).check_against([], admin=True)
        with pytest.raises(InvalidSettings, match=r"length is 30\.5, but must be a number from 3 to 30"):
            parse({"length": 30.5}).check_against([], admin=False)
        with pytest.raises(InvalidSettings, match=r"length is 31, but"):
            parse({"length": 31}).check_against([], admin=False)
