"""The order form: every setting of the one model, its price, the order as code, and orders of one or several models."""

import json
import re
import shlex
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.portal import settings_form, static_files
from api.portal.order import MODELS_SHOWN
from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.orders.effects import PATHS
from farm.orders.render_settings import FIELDS, SCHEMA, parse
from tests.support.api import count, uploaded
from tests.support.clients import Client, new_client
from tests.support.glb import glb
from tests.support.portal import Browser, browser_of, counted_statements

PAGE = "/portal/renders/new"
MAX_MOVING_BYTES = 60_000
# As a browser sends the form with nothing changed: ticked boxes only.
UNCHANGED = {
    "output": "video",
    "quality": "share",
    "effect": "turntable",
    "scene": "studio",
    "shadows": "true",
    "easing": "true",
}


@pytest.fixture
def model_id(client: Client, public_api: TestClient) -> str:
    public_api.headers.update(client.headers)
    found = str(uploaded(public_api)["modelId"])
    del public_api.headers["Authorization"]
    return found


@pytest.fixture
def second_id(model_id: str, database: Database) -> str:
    with database.write() as db:
        account_id = db.get_one(Model, model_id).account_id
        model = Model(account_id=account_id, original_name="b.glb", format="glb", file_size=1, sha256="1" * 64)
        db.add(model)
        db.flush()
        return model.id


def summary(browser: Browser, **fields: Any) -> str:
    response = browser.get(f"{PAGE}/summary", params={**UNCHANGED, **fields})
    assert response.status_code == 200, response.text
    return response.text


def newest(database: Database) -> Render:
    with database.read() as db:
        return db.query(Render).filter_by(is_system_preview=False).order_by(Render.created_at.desc()).all()[0]


class TestForm:
    def test_has_a_control_for_every_setting(self, browser: Browser) -> None:
        page = browser.get(PAGE).text
        assert sorted({*re.findall(r'name="(\w+)"', page)} & set(FIELDS)) == [
            name for name in FIELDS if settings_form.has_control(SCHEMA["properties"][name])
        ]

    def test_leaves_out_only_what_is_neither_a_value_nor_a_list_of_values(self) -> None:
        """Matrices cannot be typed into a form: their orders come by the API."""
        assert [name for name in FIELDS if not settings_form.has_control(SCHEMA["properties"][name])] == ["cameras"]

    def test_offers_every_value_of_a_choice(self, browser: Browser) -> None:
        page = browser.get(PAGE).text
        for schema in SCHEMA["properties"].values():
            inner = schema.get("anyOf", [schema])[0]
            for value in inner.get("items", inner).get("enum", ()):
                assert f'value="{value}"' in page

    def test_starts_with_the_defaults(self) -> None:
        assert settings_form.read({name: [value] for name, value in UNCHANGED.items()}) == {}

    def test_starts_with_an_earlier_render(self, browser: Browser, model_id: str, database: Database) -> None:
        fields = {**UNCHANGED, "model": model_id, "effect": "hero-spin", "sweepAngle": "720", "bgColor": "#ff8800"}
        assert browser.post(PAGE, fields, page=PAGE).status_code == 303
        page = browser.get(f"{PAGE}?from={newest(database).id}").text
        assert re.search(r'value="hero-spin" checked', page)
        assert re.search(r'name="sweepAngle"[^>]*value="720', page)
        assert re.search(r'name="bgColor"[^>]*value="#ff8800"', page)
        assert re.search(rf'value="{model_id}" checked', page)

    def test_shows_no_earlier_render_or_model_of_others(
        self, other_browser: Browser, model_id: str, database: Database
    ) -> None:
        assert other_browser.get(f"{PAGE}?from={newest(database).id}").status_code == 404
        assert model_id not in other_browser.get(f"{PAGE}?model={model_id}").text

    def test_offers_the_clips_of_a_model_as_text(self, browser: Browser, model_id: str, database: Database) -> None:
        with database.write() as db:
            db.get_one(Model, model_id).clips = ["Walk", "<script>alert(1)</script>"]
        page = browser.get(f"{PAGE}?model={model_id}").text
        assert '<option value="Walk">' in page
        assert "<script>alert" not in page

    def test_reads_the_database_as_often_for_many_models(
        self, browser: Browser, model_id: str, database: Database
    ) -> None:
        assert model_id
        numbers = []
        for number in range(2):
            with counted_statements(browser.client.app) as statements:
                browser.get(PAGE)
            numbers.append(len(statements))
            with database.write() as db:
                account_id = db.get_one(Model, model_id).account_id
                for other in range(20):
                    sha256 = f"{number}{other:063}"
                    db.add(Model(account_id=account_id, original_name="b", format="glb", file_size=1, sha256=sha256))
        assert numbers[0] == numbers[1] <= 15

    @pytest.mark.parametrize("kind", ["effects", "scenes"])
    def test_shows_stills(self, browser: Browser, guest: Browser, kind: str) -> None:
        name = {"effects": "turntable", "scenes": "studio"}[kind]
        response = browser.get(f"/portal/{kind}/{name}/still")
        assert response.headers["content-type"] == "image/jpeg"
        assert browser.get(f"/portal/{kind}/x/still").status_code == 404
        assert guest.get(f"/portal/{kind}/{name}/still").status_code == 303


class TestMovingEffects:
    @pytest.mark.parametrize("effect", PATHS)
    def test_are_small_and_repeat(self, browser: Browser, effect: str) -> None:
        response = browser.get(f"/portal/effects/{effect}/moving")
        assert response.headers["content-type"] == "image/webp"
        assert len(response.content) <= MAX_MOVING_BYTES
        with Image.open(BytesIO(response.content)) as picture:
            assert (picture.format, picture.info["loop"]) == ("WEBP", 0)
            assert picture.n_frames > 20  # type: ignore[attr-defined]
        assert f'src="/portal/effects/{effect}/moving"' in browser.get(PAGE).text

    def test_are_shown_only_to_who_logged_in(self, browser: Browser, guest: Browser) -> None:
        assert guest.get("/portal/effects/turntable/moving").status_code == 303
        assert browser.get("/portal/effects/x/moving").status_code == 404
        assert browser.get("/portal/effects/..%2fturntable/moving").status_code == 404

    def test_stand_still_for_those_who_prefer_that(self) -> None:
        style = static_files.files()["portal.css"].content.decode()
        assert ".moving { display: none;" in style
        shown = re.findall(r"^@media \(prefers-reduced-motion: no-preference\) \{\n(.*?)^\}", style, re.M | re.S)
        assert "".join(shown).count(".moving { display: block; }") == style.count(".moving { display: block; }") == 1


def add_models(database: Database, like: str, titles: list[str]) -> list[str]:
    """Models of the account of another model, by their ids."""
    with database.write() as db:
        account_id = db.get_one(Model, like).account_id
        added = [
            Model(account_id=account_id, original_name="b", title=title, format="glb", file_size=1, sha256=f"{at:064}")
            for at, title in enumerate(titles)
        ]
        db.add_all(added)
        db.flush()
        return [model.id for model in added]


class TestSearch:
    FOUND = re.compile(r'name="model" value="(\w+)"( checked)?')

    def test_is_there_when_not_all_models_are_shown(self, browser: Browser, model_id: str, database: Database) -> None:
        assert 'type="search"' not in browser.get(PAGE).text
        add_models(database, model_id, ["Chair"] * MODELS_SHOWN)
        assert 'type="search"' in browser.get(PAGE).text

    def test_finds_models_and_keeps_the_chosen_ones(self, browser: Browser, model_id: str, database: Database) -> None:
        chair, table = add_models(database, model_id, ["Oak chair", "Table"])
        response = browser.get("/portal/renders/new/models", params={"find": "CHAIR", "model": [table, "x", model_id]})
        found = dict(self.FOUND.findall(response.text))
        assert found == {table: " checked", model_id: " checked", chair: ""}
        assert "No model has this text" in browser.get("/portal/renders/new/models?find=sofa%00").text

    def test_shows_no_models_of_others(self, other_browser: Browser, model_id: str) -> None:
        assert model_id not in other_browser.get(f"/portal/renders/new/models?model={model_id}").text

    def test_shows_titles_as_text(self, browser: Browser, model_id: str, database: Database) -> None:
        add_models(database, model_id, ["<script>alert(1)</script>"])
        assert "<script>" not in browser.get("/portal/renders/new/models?find=script").text


class TestSummary:
    @pytest.mark.parametrize(
        ("fields", "price"),
        [
            ({}, "<strong>1</strong> credit"),
            ({"quality": "pro"}, "<strong>64</strong> credits"),
            ({"output": "dataset", "datasetQuality": "196x1024"}, "<strong>16</strong> credits"),
            ({"quality": "4k", "model": ["a" * 12, "b" * 12]}, "<strong>32</strong> credits"),
        ],
    )
    def test_shows_the_price(self, browser: Browser, fields: dict[str, Any], price: str) -> None:
        assert price in summary(browser, **fields)

    def test_says_when_the_credits_do_not_suffice(self, public_api: TestClient, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=3)
        browser = browser_of(public_api.app, database, poor.account)
        assert "You have only 3 credits" in summary(browser, quality="4k")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"length": "31"}, "length is 31, but must be a number from 3 to 30"),
            ({"zoom": "near"}, "zoom is &#34;near&#34;, but must be a number from 0.5 to 2"),
            ({"amplitude": "60"}, "amplitude does not belong to effect &#34;turntable&#34;"),
            ({"bgColor": "red"}, "bgColor is &#34;red&#34;"),
            ({"effect": "<script>"}, "effect is &#34;&lt;script&gt;&#34;"),
            ({"length": "nan"}, "length is"),
            ({"length": "1e999"}, "length is"),
        ],
    )
    def test_explains_what_is_wrong(self, browser: Browser, fields: dict[str, str], words: str) -> None:
        text = summary(browser, **fields)
        assert words in text
        assert "<strong>" not in text

    def test_changes_nothing(self, browser: Browser, model_id: str, database: Database) -> None:
        before = count(database, Render)
        summary(browser, model=model_id)
        assert count(database, Render) == before


SETTINGS = {"quality": "standard", "effect": "hero-spin", "animation": "It's \"O'Neill\" $(x) `y` \\", "easing": False}


class TestCode:
    def test_for_curl_is_a_request_of_the_api(self, browser: Browser, model_id: str) -> None:
        command = settings_form.curl("http://farm", [model_id], SETTINGS)
        words = shlex.split(command)
        body = json.loads(words[words.index("-d") + 1])
        assert body == {"modelId": model_id, "renderSettings": SETTINGS}
        assert words[1] == "http://farm/v1/renders"
        assert "Bearer $PLINTH_KEY" in command
        assert browser

    def test_for_curl_orders_several(self) -> None:
        words = shlex.split(settings_form.curl("http://farm", ["a", "b"], {}))
        assert words[1] == "http://farm/v1/renders/batch"
        assert [order["modelId"] for order in json.loads(words[-1])["renders"]] == ["a", "b"]

    @pytest.mark.parametrize("model_ids", [["a" * 12], ["a" * 12, "b" * 12]])
    def test_for_python_calls_the_client_as_it_is(self, model_ids: list[str], tmp_path: Path) -> None:
        """Checked by mypy against the client's own types."""
        program = tmp_path / "order.py"
        program.write_text(settings_form.python("http://farm", model_ids, SETTINGS))
        checked = subprocess.run(
            [sys.executable, "-m", "mypy", "--no-incremental", "--config-file=", str(program)],
            env={"MYPYPATH": str(Path(__file__).parents[2] / "clients/python"), "PATH": ""},
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def test_names_only_what_differs_from_the_defaults(self, browser: Browser) -> None:
        text = summary(browser, effect="showcase", amplitude="90")
        assert "&#34;effect&#34;: &#34;showcase&#34;" in text
        assert "&#34;amplitude&#34;: 90" in text
        assert "shadows" not in text

    def test_has_only_wellformed_model_ids(self, browser: Browser) -> None:
        assert "os.system" not in summary(browser, model='"); os.system("x")')


class TestOrder:
    def test_queues_what_the_form_says(self, browser: Browser, model_id: str, database: Database) -> None:
        fields = {"quality": "standard", "effect": "zoom-orbit", "zoomEnd": "0.5", "aspect": "1:1", "length": "12"}
        response = browser.post(PAGE, {"output": "video", "scene": "dark", "model": model_id, **fields}, page=PAGE)
        render = newest(database)
        assert response.headers["location"] == f"/portal/renders/{render.id}"
        settings = parse(render.settings)
        assert (settings.quality, settings.effect, settings.zoom_end) == ("standard", "zoom-orbit", 0.5)
        assert (settings.aspect, settings.length, settings.scene) == ("1:1", 12, "dark")
        assert (settings.shadows, settings.easing, settings.reflector) == (False, False, False), "unticked"

    def test_queues_a_dataset(self, browser: Browser, model_id: str, database: Database) -> None:
        fields = {**UNCHANGED, "output": "dataset", "coverage": "sphere", "model": model_id}
        assert browser.post(PAGE, fields, page=PAGE).status_code == 303
        settings = parse(newest(database).settings)
        assert (settings.is_dataset, settings.coverage, settings.dataset_quality) == (True, "sphere", "100x800")
        assert settings.formats == ["nerfstudio"]

    def test_queues_a_dataset_in_the_formats_that_are_ticked(
        self, browser: Browser, model_id: str, database: Database
    ) -> None:
        fields = {**UNCHANGED, "output": "dataset", "formats": ["colmap", "rgba"], "model": model_id}
        assert "&#34;formats&#34;: [" in summary(browser, **fields)
        assert browser.post(PAGE, fields, page=PAGE).status_code == 303
        assert parse(newest(database).settings).formats == ["colmap", "rgba"]
        page = browser.get(f"{PAGE}?from={newest(database).id}").text
        assert re.findall(r'name="formats" value="([\w-]+)" checked', page) == ["colmap", "rgba"]

    def test_queues_a_dataset_with_views_of_ones_own(self, browser: Browser, model_id: str, database: Database) -> None:
        views = {"views": "40", "size": "400", "elevations": "-20, 60.5", "radius": "4", "coverage": "sphere"}
        fields = {**UNCHANGED, "output": "dataset", **views, "model": model_id}
        assert browser.post(PAGE, fields, page=PAGE).status_code == 303
        settings = parse(newest(database).settings)
        assert (settings.views, settings.size, settings.radius) == (40, 400, 4)
        assert settings.elevations == [-20, 60.5]
        page = browser.get(f"{PAGE}?from={newest(database).id}").text
        assert re.search(r'name="elevations" value="-20.0,60.5"', page)
        assert "40 views, 400 px" in browser.get("/portal/renders").text

    def test_queues_all_models_or_none(
        self, browser: Browser, client: Client, model_id: str, second_id: str, database: Database
    ) -> None:
        def credits() -> int:
            headers = {"headers": client.headers}
            return int(browser.client.get("/v1/account", **headers).json()["data"]["credits"])

        before, balance = count(database, Render), credits()
        response = browser.post(PAGE, {**UNCHANGED, "model": [model_id, "x" * 12]}, page=PAGE)
        assert response.status_code == 404
        assert 'role="alert"' in response.text
        assert (count(database, Render), credits()) == (before, balance)
        response = browser.post(PAGE, {**UNCHANGED, "model": [model_id, second_id]}, page=PAGE)
        assert response.headers["location"] == "/portal/renders"
        assert (count(database, Render), credits()) == (before + 2, balance - 2)

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"model": []}, 422),
            ({"model": [f"{number:012}" for number in range(101)]}, 422),
            ({"length": "99"}, 400),
            ({"quality": "x"}, 400),
        ],
    )
    def test_keeps_the_form_when_it_is_refused(
        self, browser: Browser, model_id: str, database: Database, fields: dict[str, Any], status: int
    ) -> None:
        before = count(database, Render)
        sent = {**UNCHANGED, "model": model_id, "rotateY": "77", **fields}
        response = browser.post(PAGE, sent, page=PAGE)
        assert response.status_code == status
        assert 'role="alert"' in response.text
        assert 'value="77"' in response.text
        assert count(database, Render) == before

    def test_without_credits_is_refused(self, public_api: TestClient, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=1)
        browser = browser_of(public_api.app, database, poor.account)
        model = uploaded(public_api, glb(), headers=poor.headers)["modelId"]
        response = browser.post(PAGE, {**UNCHANGED, "model": model}, page=PAGE)
        assert response.status_code == 402
        assert "Not enough render credits: 1 needed, 0 left" in response.text

    def test_does_not_reach_models_of_others(self, other_browser: Browser, model_id: str, database: Database) -> None:
        before = count(database, Render)
        assert other_browser.post(PAGE, {**UNCHANGED, "model": model_id}, page=PAGE).status_code == 404
        assert count(database, Render) == before

    def test_needs_a_form_of_this_site(self, browser: Browser, model_id: str, database: Database) -> None:
        before = count(database, Render)
        assert browser.client.post(PAGE, data={**UNCHANGED, "model": model_id}).status_code == 403
        assert count(database, Render) == before
