"""What a client does in the portal, in a real browser, on a real farm."""

import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.assets import ASSETS
from tests.support.farms import Farm
from tests.support.glb import container, json_chunk
from tests.support.tabs import Tab

PRODUCT = ASSETS / "product.glb"


class TestFirstDay:
    def test_leads_from_the_upload_to_the_download(self, tab: Tab) -> None:
        page = tab.go("/portal/models")
        tab.drop("Radio.glb", PRODUCT.read_bytes())
        upload = page.locator("#uploads")
        expect(upload.locator("model-viewer")).to_have_js_property("loaded", True)
        upload.locator("article video").wait_for(state="attached")  # the preview
        upload.locator("article").hover()
        expect(upload.locator("article video")).to_have_class(re.compile("playing"))
        page = tab.go("/portal/renders")
        page.locator("article.card video").wait_for(state="attached")
        page.locator("a.cover").click()
        video = tab.play()
        assert video["videoWidth"] > 0
        assert video["duration"] > 1
        name, bundle = tab.download("Download all as a zip")
        assert name.endswith(".zip")
        assert any(entry.endswith(".mp4") for entry in zipfile.ZipFile(bundle).namelist())

    def test_shows_a_draco_compressed_model(self, tab: Tab) -> None:
        page = tab.go("/portal/models")
        tab.drop("Pot.glb", (ASSETS / "draco.glb").read_bytes())
        expect(page.locator("#uploads model-viewer")).to_have_js_property("loaded", True)
        page.get_by_role("link", name="Open Pot.glb").click()
        expect(page.locator("model-viewer")).to_have_js_property("loaded", True)

    def test_explains_a_file_that_is_refused(self, tab: Tab) -> None:
        page = tab.go("/portal/models")
        tab.drop("broken.glb", b"nonsense")
        expect(page.locator("#uploads .message.bad")).to_contain_text("GLB")

    def test_creates_a_key_that_works(self, tab: Tab, farm: Farm) -> None:
        page = tab.go("/portal/keys")
        page.get_by_label("Name").fill("Web shop")
        page.get_by_role("button", name="Create key").click()
        key = page.locator("#raw").inner_text()
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.get(f"{farm.client.base_url}/v1/account", headers=headers)
        assert answer.status_code == 200
        assert answer.json()["data"]["credits"] == 10


class TestAnotherAccount:
    def test_sees_nothing_of_it(self, tab: Tab, open_tab: Callable[..., Tab]) -> None:
        page = tab.go("/portal/models")
        tab.drop("Secret.glb", PRODUCT.read_bytes())
        link = page.get_by_role("link", name="Open Secret.glb")
        model = link.get_attribute("href")
        render = tab.go("/portal/renders").locator("a.cover").get_attribute("href")
        other = open_tab().sign_up("other@studio.example")
        for path in ("/portal/models", "/portal/renders", f"{model}", f"{render}"):
            expect(other.go(path).locator("body")).not_to_contain_text("Secret.glb")
        expect(other.page.get_by_role("heading")).to_have_text("There is no such page")


class TestSession:
    def test_that_is_ended_is_out_at_once(self, open_tab: Callable[..., Tab]) -> None:
        tab = open_tab().sign_up("twice@studio.example")
        other = open_tab().log_in("twice@studio.example")
        tab.go("/portal/account").locator("form[action$='/end'] button").click()
        tab.page.wait_for_load_state()
        other.page.reload()
        expect(other.page.get_by_role("button", name="Log in")).to_be_visible()


class TestNames:
    @pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>"])
    def test_stay_text_on_every_page(self, tab: Tab, text: str) -> None:
        page = tab.go("/portal/models")
        tab.drop(f"{text}.glb".replace("/", ""), with_clip(ASSETS / "walker.glb", text))
        page.get_by_role("link", name="Open").click()
        page.get_by_label("Title").fill(text)
        page.get_by_label("Tags").fill(text)
        page.get_by_role("button", name="Save").click()
        model = page.url
        for path in (model, "/portal/models", "/portal/renders", f"/portal/renders/new?model={model.split('/')[-1]}"):
            expect(tab.go(path).locator("main")).to_contain_text(text)


def with_clip(path: Path, name: str) -> bytes:
    """The model, its first animation with another name."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    document = json.loads(content[20 : 20 + length])
    document["animations"][0]["name"] = name
    return container(json_chunk(document), content[20 + length :])


class TestEffects:
    def test_move_under_the_pointer(self, tab: Tab) -> None:
        effect = tab.go("/portal/renders/new").locator("label", has=tab.page.locator("[value=showcase]"))
        expect(effect.locator(".moving")).to_be_hidden()
        effect.hover()
        expect(effect.locator(".moving")).to_have_js_property("complete", True)
        expect(effect.locator(".moving")).to_be_visible()

    def test_stand_still_where_less_motion_is_preferred(self, open_tab: Callable[..., Tab]) -> None:
        tab = open_tab(reduced_motion="reduce").sign_up("calm@studio.example")
        tab.go("/portal/renders/new").locator("label", has=tab.page.locator("[value=showcase]")).hover()
        expect(tab.page.locator(".moving:visible")).to_have_count(0)
