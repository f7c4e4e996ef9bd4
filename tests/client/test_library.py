"""Models and overlays of the typed client: list, change, archive, ingest, delete."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from farm.db.session import Database
from farm.db.tables import Account as AccountRow
from farm.settings import Settings
from plinth_client import Forbidden, InvalidRequest, NotFound, Plinth
from tests.client.driven import KINDS, Connect
from tests.intake.scans import picture
from tests.support.clients import new_client
from tests.support.glb import glb
from tests.support.web_server import MODEL, serving


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A farm that may download from loopback."""
    return settings.model_copy(update={"ingest_loopback": True})


@pytest.fixture
def sky(tmp_path: Path) -> Path:
    path = tmp_path / "sky.png"
    path.write_bytes(picture("PNG", (40, 30)))
    return path


@pytest.fixture
def admin(url: str, database: Database, connect: Connect) -> Iterator[Plinth]:
    """A client with an admin account's key."""
    chief = new_client(database, "chief@example.com")
    with database.write() as db:
        db.get_one(AccountRow, chief.account.id).is_admin = True
    with connect(url, chief.key) as plinth:
        yield plinth


class TestModels:
    def test_change_only_in_the_given_fields(self, plinth: Plinth, chair: Path) -> None:
        model_id = plinth.models.upload(chair).model_id
        named = plinth.models.update(model_id, title="Ergonomic Chair", sku="EC-1001", tags=[" Office ", "furniture"])
        assert (named.title, named.sku, named.tags) == ("Ergonomic Chair", "EC-1001", ("office", "furniture"))
        assert plinth.models.update(model_id, sku="EC-1002").title == "Ergonomic Chair"
        bare = plinth.models.update(model_id, title="", sku="", tags=[])
        assert (bare.title, bare.sku, bare.tags) == (None, None, ())
        assert plinth.models.list().items == (bare,)

    def test_are_found_by_tags_over_all_pages(
        self, plinth: Plinth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for kind in KINDS:
            monkeypatch.setattr(f"plinth_client.{kind}.models.MAX_PAGE_SIZE", 1)
        made = []
        for number, tag in enumerate(["office", "garden", "kitchen"]):
            path = tmp_path / f"{tag}.glb"
            path.write_bytes(glb(bytes([number])))
            made.append(plinth.models.upload(path).model_id)
            plinth.models.update(made[-1], tags=[tag])
        found = [model.id for model in plinth.models.list_all(tags=["garden", "office"])]
        assert found == [made[1], made[0]]
        page = plinth.models.list(limit=1, offset=1)
        assert ([model.id for model in page.items], page.total, page.offset, page.limit) == ([made[1]], 3, 1, 1)

    def test_are_uploaded_with_fields_and_found_by_them(self, plinth: Plinth, chair: Path) -> None:
        upload = plinth.models.upload(chair, title="Chair", sku="EC-1", external_id="shop-1", tags=["a", "b"])
        [model] = plinth.models.list(external_id="shop-1", q="ec-", ids=[upload.model_id], sort="title").items
        assert (model.title, model.sku, model.external_id, model.tags) == ("Chair", "EC-1", "shop-1", ("a", "b"))
        assert plinth.models.list(created_after=model.created_at).total == 0
        render = plinth.renders.create(upload.model_id, metadata={"order": "1", "shop": "2"})
        found = plinth.renders.list(metadata=render.metadata, status=["pending", "done"], model_id=upload.model_id)
        assert [item.id for item in found.items] == [render.id]
        assert [item.metadata for item in plinth.renders.list_all(metadata={"order": "1"})] == [render.metadata]
        assert list(plinth.renders.list_all(status="done")) == []

    def test_are_archived_and_unarchived(self, plinth: Plinth, chair: Path) -> None:
        model_id = plinth.models.upload(chair).model_id
        assert plinth.models.archive(model_id).archived
        assert plinth.models.list().total == 0
        assert [model.id for model in plinth.models.list_all(archived=True)] == [model_id]
        assert not plinth.models.unarchive(model_id).archived
        assert plinth.models.list().total == 1

    def test_are_deleted_without_their_renders(self, plinth: Plinth, chair: Path) -> None:
        upload = plinth.models.upload(chair)
        plinth.models.delete(upload.model_id)
        with pytest.raises(NotFound) as missing:
            plinth.models.get(upload.model_id)
        assert missing.value.code == "model_not_found"
        assert plinth.renders.get(upload.render_id).model_id == upload.model_id

    def test_are_found_by_their_hash(self, plinth: Plinth, chair: Path) -> None:
        assert (plinth.models.check_file(chair).exists, plinth.models.check_file(chair).model_id) == (False, None)
        model_id = plinth.models.upload(chair).model_id
        check = plinth.models.check_hash(plinth.models.get(model_id).sha256.upper())
        assert (check.exists, check.model_id) == (True, model_id)
        assert plinth.models.check_file(chair) == check

    def test_are_ingested_from_a_url(self, plinth: Plinth, tmp_path: Path) -> None:
        with serving() as elsewhere:
            upload = plinth.models.ingest(f"{elsewhere}/chair.glb", {"aspect": "1:1"})
            again = plinth.models.ingest(f"{elsewhere}/chair.glb")
        assert (upload.duplicate, again.duplicate, again.model_id) == (False, True, upload.model_id)
        assert plinth.renders.get(upload.render_id).render_settings["aspect"] == "1:1"
        assert plinth.models.download(upload.model_id, tmp_path / "m.glb").read_bytes() == MODEL

    def test_are_not_ingested_from_an_invalid_url(self, plinth: Plinth) -> None:
        with pytest.raises(InvalidRequest) as refused:
            plinth.models.ingest("file:///etc/passwd")
        assert refused.value.code == "invalid_url"


class TestOverlays:
    def test_are_uploaded_listed_and_deleted(self, plinth: Plinth, sky: Path) -> None:
        sent = plinth.overlays.upload(sky, name="Sky", description="Blue", alignment="center")
        assert (sent.layer, sent.alignment, sent.name) == ("background", "center", "Sky")
        plinth.overlays.upload(sky, layer="foreground")
        [kept] = plinth.overlays.list(layer="background").items
        assert (kept.id, kept.name, kept.description, kept.alignment) == (sent.id, "Sky", "Blue", "center")
        assert (kept.content_type, kept.width, kept.height, kept.published) == ("image/webp", 40, 30, False)
        assert kept.file_size
        assert kept.created_at
        plinth.overlays.delete(sent.id)
        assert [overlay.layer for overlay in plinth.overlays.list_all()] == ["foreground"]

    def test_are_found_by_every_filter(self, plinth: Plinth, sky: Path) -> None:
        first, second = (plinth.overlays.upload(sky, name=name) for name in ("Sky", "Blue sky"))
        created = plinth.overlays.list(ids=[first.id]).items[0].created_at
        assert [overlay.id for overlay in plinth.overlays.list(sort="name").items] == [second.id, first.id]
        assert [overlay.id for overlay in plinth.overlays.list_all(q="blue")] == [second.id]
        assert first.id not in [overlay.id for overlay in plinth.overlays.list(created_after=created).items]
        assert plinth.overlays.list(ids=[]).items == ()

    def test_are_used_in_a_render(self, plinth: Plinth, chair: Path, sky: Path) -> None:
        overlay_id = plinth.overlays.upload(sky).id
        model_id = plinth.models.upload(chair).model_id
        render = plinth.renders.create(model_id, {"bgImageId": overlay_id, "bgAlign": "center"})
        assert render.render_settings["bgImageId"] == overlay_id

    def test_are_published_by_admins(self, plinth: Plinth, admin: Plinth, sky: Path) -> None:
        overlay_id = admin.overlays.upload(sky).id
        assert admin.overlays.publish(overlay_id).published
        assert [overlay.id for overlay in plinth.overlays.list_all()] == [overlay_id]
        assert not admin.overlays.unpublish(overlay_id).published
        assert plinth.overlays.list().items == ()
        own = plinth.overlays.upload(sky).id
        with pytest.raises(Forbidden):
            plinth.overlays.publish(own)


class TestScenesAndEffects:
    def test_are_listed_with_what_settings_may_name(self, plinth: Plinth, tmp_path: Path) -> None:
        scenes, effects = plinth.scenes.list(), plinth.effects.list()
        studio = next(scene for scene in scenes if scene.name == "studio")
        spin = next(effect for effect in effects if effect.name == "hero-spin")
        assert (studio.title, spin.fields, spin.loops) == ("Studio", ("sweepAngle", "easeOutRatio"), False)
        for file in (
            plinth.scenes.download_still("studio", tmp_path / "studio.jpg"),
            plinth.effects.download_still("hero-spin", tmp_path / "spin.jpg"),
        ):
            with Image.open(file) as picture:
                assert picture.format == "JPEG"

    def test_refuse_names_that_they_lack(self, plinth: Plinth, tmp_path: Path) -> None:
        for catalogue in (plinth.scenes, plinth.effects):
            with pytest.raises(NotFound):
                catalogue.download_still("nothing", tmp_path / "a.jpg")
        assert list(tmp_path.glob("*a.jpg*")) == []
