"""See-through surfaces: MASK cuts the ground truth like the picture, BLEND is included from half opacity on."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from farm.blender.host_process import BlenderHost
from farm.errors import BadModel
from tests.dataset import proof
from tests.dataset.dataset import Array, Dataset
from tests.dataset.drawing import drawn, spec

pytestmark = pytest.mark.slow

CHECKS, TEXELS = 4, 64  # fields per side of the chequered texture, and texels per side of a field
SPEC = spec("hemisphere", views=6, side=128, samples=4)


def sheet(z: float, material: PBRMaterial) -> trimesh.Trimesh:
    """A square of two metres facing the viewer."""
    corners = [[-1, -1, z], [1, -1, z], [1, 1, z], [-1, 1, z]]
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    faces = [[0, 1, 2], [0, 2, 3]]
    return trimesh.Trimesh(corners, faces, visual=TextureVisuals(uv=uv, material=material), process=False)


def chequered(mode: str) -> PBRMaterial:
    """Red with holes: every other field is transparent."""
    rows, columns = np.indices((CHECKS * TEXELS, CHECKS * TEXELS)) // TEXELS
    pixels = np.full((*rows.shape, 4), (200, 30, 30, 255), dtype=np.uint8)
    pixels[(rows + columns) % 2 == 1, 3] = 0
    return PBRMaterial(baseColorTexture=Image.fromarray(pixels), alphaMode=mode, alphaCutoff=0.5, doubleSided=True)


def tinted(opacity: float) -> PBRMaterial:
    return PBRMaterial(baseColorFactor=[0.1, 0.2, 0.9, opacity], alphaMode="BLEND", doubleSided=True)


SOLID = PBRMaterial(baseColorFactor=[0.8, 0.8, 0.2, 1.0], doubleSided=True)


def draw_dataset(host: BlenderHost, folder: Path, *meshes: trimesh.Trimesh) -> Dataset:
    model = folder / "model.glb"
    scene = trimesh.Scene(list(meshes))
    model.write_bytes(scene.export(file_type="glb"))
    return Dataset.read(drawn(host, model, SPEC, folder))


def opaque_fields(found: Dataset, view: int, square: trimesh.Trimesh) -> tuple[proof.Mask, Array]:
    """Which rays hit an opaque field of the chequered square, and their distance from a field's edge, in fields."""
    mesh = proof.mesh_in_world(found, square)
    truth = proof.cast(found, view, mesh)
    origins, directions = found.rays(view)
    world = origins + directions * truth.depths[..., None]
    to_source = np.linalg.inv(np.array(found.metadata["source_to_dataset"]))
    position = (world @ to_source[:3, :3].T + to_source[:3, 3])[..., :2]
    across = (position + 1) / 2 * CHECKS
    field = np.floor(across).astype(int)
    # The texture's first row is the square's top.
    opaque = (field[..., 0] + (CHECKS - 1 - field[..., 1])) % 2 == 0
    edge = np.abs(across - np.round(across)).min(axis=-1)
    return np.asarray((truth.triangles >= 0) & opaque), edge


SQUARE = sheet(0.0, chequered("MASK"))
THIN_FRONT, BACK = sheet(0.3, tinted(0.4)), sheet(-0.3, SOLID)


@pytest.fixture(scope="module")
def cut(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The dataset of SQUARE."""
    return draw_dataset(host, tmp_path_factory.mktemp("cut"), SQUARE)


@pytest.fixture(scope="module")
def thin(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The dataset of BACK behind THIN_FRONT."""
    return draw_dataset(host, tmp_path_factory.mktemp("thin"), THIN_FRONT, BACK)


class TestMask:
    def test_cuts_mask_depth_and_normals_along_the_textures_edge(self, cut: Dataset) -> None:
        common = either = 0
        for view in cut.views:
            expected, edge = opaque_fields(cut, view, SQUARE)
            sure = edge > 0.5 / TEXELS  # between texels the texture is interpolated
            mask = cut.mask(view)
            common += int((mask & expected & sure).sum())
            either += int(((mask | expected) & sure).sum())
            assert (cut.picture("depth_16bit", view)[~mask] == 65535).all()
            assert (cut.picture("normals", view)[~mask] == 128).all()
        assert common / either >= 0.999

    def test_cuts_the_masks_like_the_picture(self, cut: Dataset) -> None:
        for view in cut.views:
            mask, white = cut.mask(view), (cut.picture("images", view) == 255).all(axis=-1)
            assert not white[proof.interior(mask)].any()
            # A field seen edge-on may lie between pixel centres and still tint a pixel.
            assert white[~proof.dilated(mask, 2)].mean() > 0.999

    def test_shows_the_depth_behind_the_holes(self, host: BlenderHost, tmp_path: Path) -> None:
        front, back = sheet(0.3, chequered("MASK")), sheet(-0.3, SOLID)
        found = draw_dataset(host, tmp_path, front, back)
        assert planes_seen(found, front, back) == {"front", "back"}


class TestBlend:
    def test_is_ignored_below_half_opacity(self, thin: Dataset) -> None:
        assert planes_seen(thin, THIN_FRONT, BACK) == {"back"}

    def test_is_included_from_half_opacity_on(self, host: BlenderHost, tmp_path: Path) -> None:
        front, back = sheet(0.3, tinted(0.6)), sheet(-0.3, SOLID)
        found = draw_dataset(host, tmp_path, front, back)
        assert planes_seen(found, front, back) == {"front", "back"}
        for view in found.views:
            truth = proof.cast(found, view, proof.mesh_in_world(found, front + back))
            inside = proof.interior(found.mask(view) & (truth.triangles >= 0))
            close = np.abs(found.depth(view) - truth.depths)[inside] < 1e-3
            assert close.mean() > 0.99

    def test_is_blended_in_the_picture(self, thin: Dataset) -> None:
        front_view = thin.picture("images", 0)[54:74, 54:74].reshape(-1, 3).mean(axis=0)
        red, _, blue = front_view
        assert red > 100, "the yellow behind shows through"
        assert blue > 100, "the blue in front shows"

    def test_is_refused_if_no_surface_is_left(self, host: BlenderHost, tmp_path: Path) -> None:
        with pytest.raises(BadModel, match="no surface that can be seen"):
            draw_dataset(host, tmp_path, sheet(0.0, tinted(0.2)))


def planes_seen(found: Dataset, front: trimesh.Trimesh, back: trimesh.Trimesh) -> set[str]:
    """Which of two parallel squares the depths of all views lie on; asserts that none lie elsewhere."""
    planes = {"front": proof.mesh_in_world(found, front), "back": proof.mesh_in_world(found, back)}
    seen: set[str] = set()
    for view in found.views:
        points = found.points(view)[found.mask(view)]
        distances = {name: np.abs((points - mesh.vertices[0]) @ mesh.face_normals[0]) for name, mesh in planes.items()}
        seen |= {name for name, away in distances.items() if (away < 1e-3).mean() > 0.02}
        assert np.minimum(*distances.values()).max() < 1e-3
    return seen
