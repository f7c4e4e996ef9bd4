"""Pictures of few samples are clean: guides that are drawn apart, and the denoiser that uses them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from farm.blender.client import Blender
from farm.errors import is_disk_full
from farm.scene.shot import ShotSetup
from tests.blender.materials import Part, parts, sheet
from tests.blender.models import box, glb
from tests.blender.test_pixels import files_limited
from tests.blender.test_set_violations import column
from tests.support.blender import InsideBlender, draw_frame, shot
from tests.support.templates import PEDESTAL, save_changed

pytestmark = pytest.mark.slow
SIZE = (96, 54)
Plane = NDArray[np.float32]
Point = tuple[float, float, float]


def ball(rings: int = 24) -> Part:
    """A smooth ball of brushed metal."""

    def at(ring: int, spoke: int) -> Point:
        down, around = np.pi * ring / rings, np.pi * spoke / rings
        return float(np.sin(down) * np.sin(around)), float(np.cos(down)), float(np.sin(down) * np.cos(around))

    corners = ((0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1))
    normals = [at(i + down, j + right) for i in range(rings) for j in range(2 * rings) for down, right in corners]
    metal = {"baseColorFactor": [0.9, 0.9, 0.9, 1], "metallicFactor": 1.0, "roughnessFactor": 0.3}
    return Part(normals, {"pbrMetallicRoughness": metal}, normals)


def matte(*rgba: float, **more: Any) -> dict[str, Any]:
    pbr = {"baseColorFactor": list(rgba), "metallicFactor": 0.0, "roughnessFactor": 1.0}
    return {"pbrMetallicRoughness": pbr, "doubleSided": True} | more


def over(picture: NDArray[np.uint8], background: float) -> Plane:
    """The picture over a grey: (height, width, 3), 0 to 255."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    blended: Plane = picture[..., :3] * alpha + np.float32(background) * (1 - alpha)
    return blended


class TestPicture:
    @pytest.mark.parametrize("background", [255, 0])
    def test_has_no_outliers_on_metal(self, blender: Blender, tmp_path: Path, background: float) -> None:
        """At most one pixel of a thousand is off by more than 40 levels. With Cycles' own guides, 4 were on white."""
        model = parts(tmp_path / "ball.glb", ball())
        few, many = (draw_frame(blender, shot(model, size=SIZE, samples=samples), 60.0)[1] for samples in (8, 400))
        error = np.abs(over(few, background) - over(many, background)).max(axis=-1)
        assert (error > 40).sum() <= (many[..., 3] > 0).sum() / 1000

    def test_has_edges_of_the_surfaces_colour(self, blender: Blender, tmp_path: Path) -> None:
        model = parts(tmp_path / "plate.glb", Part(sheet(0), matte(0.6, 0.1, 0.1, 1)))
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4), 25.0)
        inner, edge = (seen[chosen, :3].astype(float) for chosen in (seen[..., 3] == 255, is_partly_covered(seen)))
        assert len(edge) > 50
        assert np.abs(edge - inner.mean(axis=0)).max() < np.abs(inner - inner.mean(axis=0)).max() + 8

    @pytest.mark.parametrize(("draft", "shared"), [(True, 8), (False, 16)], ids=["draft", "picture"])
    def test_has_the_same_edge_in_all_pixels(self, blender: Blender, tmp_path: Path, draft: bool, shared: int) -> None:
        """All pixels share 16 samples, a draft's 8, so their alphas are multiples of a sixteenth or an eighth."""
        model = parts(tmp_path / "plate.glb", Part(sheet(0), matte(0.6, 0.1, 0.1, 1)))
        _, seen = draw_frame(blender, replace(shot(model, size=SIZE, samples=5), draft=draft), 25.0)
        levels = seen[is_partly_covered(seen), 3] / 255 * shared
        assert np.abs(levels - np.rint(levels)).max() < 0.05
        assert (np.rint(levels) % 2 == 1).any(), "no level between those of half as many samples"

    def test_has_even_transparency(self, blender: Blender, tmp_path: Path) -> None:
        model = parts(tmp_path / "plate.glb", Part(sheet(0), matte(0.1, 0.3, 0.8, 0.4, alphaMode="BLEND")))
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4))
        middle = seen[20:34, 40:56].reshape(-1, 4).astype(float)
        assert np.abs(middle[:, 3] - 0.4 * 255).max() <= 16  # a sixteenth: transparency is a matter of chance, too
        assert np.ptp(middle[:, :3], axis=0).max() < 12


def is_partly_covered(seen: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (seen[..., 3] > 0) & (seen[..., 3] < 255)


def guides_of(setup: ShotSetup, folder: Path) -> tuple[Plane, Plane]:
    """The guides' premultiplied colours and alpha from the front, and those of a picture. Runs in a process with bpy.

    Both have the shape (height, width, 4).
    """
    from farm.blender import film, frames
    from farm.scene.camera import view

    opened = frames.open_shot(setup, folder)
    assert opened.guides
    camera, whole = view(opened.stage.lens, 0.0, 1.0), (0, 0, setup.width, setup.height)
    opened.stage.show_at(0.0)
    with opened.guides.drawn():
        guides = film.render_passes(opened.stage, camera, whole, folder)
    picture = film.render_passes(opened.stage, camera, whole, folder)
    return film.stacked(guides, "Combined", "RGBA"), film.stacked(picture, "Combined", "RGBA")


def no_material(bpy: Any) -> None:
    column(bpy).data.materials.clear()


def empty_slot(bpy: Any) -> None:
    column(bpy).material_slots[0].material = None


def no_nodes(bpy: Any) -> None:
    material = column(bpy).material_slots[0].material
    material.use_nodes, material.diffuse_color = False, (0.8, 0.8, 0.8, 1.0)


def only(bpy: Any, kind: str, colour: str = "Color") -> Any:
    """The column's material with one shader of this kind in grey; returns the tree and the shader."""
    tree = column(bpy).material_slots[0].material.node_tree
    tree.nodes.clear()
    return tree, shader(tree, kind, colour)


def shader(tree: Any, kind: str, colour: str = "Color") -> Any:
    node = tree.nodes.new(kind)
    node.inputs[colour].default_value = (0.8, 0.8, 0.8, 1.0)
    return node


def surface(tree: Any, source: Any) -> None:
    tree.links.new(source, tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])


def diffuse(bpy: Any) -> None:
    tree, node = only(bpy, "ShaderNodeBsdfDiffuse")
    surface(tree, node.outputs[0])


def glossy(bpy: Any) -> None:
    tree, node = only(bpy, "ShaderNodeBsdfAnisotropic")
    surface(tree, node.outputs[0])


def in_a_group(bpy: Any) -> None:
    group = bpy.data.node_groups.new("Paint", "ShaderNodeTree")
    group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    group.links.new(shader(group, "ShaderNodeBsdfDiffuse").outputs[0], group.nodes.new("NodeGroupOutput").inputs[0])
    tree = column(bpy).material_slots[0].material.node_tree
    tree.nodes.clear()
    used = tree.nodes.new("ShaderNodeGroup")
    used.node_tree = group
    surface(tree, used.outputs[0])


def culled(bpy: Any) -> None:
    tree, node = only(bpy, "ShaderNodeBsdfPrincipled", "Base Color")
    surface(tree, node.outputs[0])
    column(bpy).material_slots[0].material.use_backface_culling = True


def bright_film(bpy: Any) -> None:
    culled(bpy)
    bpy.context.scene.cycles.film_exposure = 0.5


class TestGuides:
    @pytest.mark.parametrize(
        "change", [no_material, empty_slot, no_nodes, diffuse, glossy, in_a_group, culled, bright_film]
    )
    def test_show_the_albedo_of_every_material_of_a_set(
        self, inside: InsideBlender, tmp_path: Path, change: Callable[[Any], object]
    ) -> None:
        template = tmp_path / "template.blend"
        inside(save_changed, change, template, PEDESTAL)
        model = glb(tmp_path / "crate.glb", box((-0.5, 0, -0.5), (0.5, 1, 0.5)))
        setup = replace(shot(model, size=SIZE, samples=4), template=str(template))
        guides, picture = inside(guides_of, setup, tmp_path)
        below = guides[-4:, 44:52].reshape(-1, 4)  # the column
        assert below == pytest.approx(np.tile([0.8, 0.8, 0.8, 1.0], (len(below), 1)), abs=1e-3)
        assert (picture[-4:, 44:52, 3] == 1).all()
        assert np.abs(picture[-4:, 44:52, :3] - 0.8).max() > 0.05, "the picture is lit"

    def test_show_what_glows_and_what_is_unlit(self, inside: InsideBlender, tmp_path: Path) -> None:
        left, right = ([(x + side, y, z) for x, y, z in sheet(0)] for side in (-1.0, 1.0))
        glowing = matte(0.1, 0.1, 0.1, 1, emissiveFactor=[0.0, 0.5, 0.0])
        unlit = matte(0.2, 0.3, 0.4, 1, extensions={"KHR_materials_unlit": {}})
        model = parts(tmp_path / "two.glb", Part(left, glowing), Part(right, unlit))
        guides, _ = inside(guides_of, shot(model, size=SIZE, samples=4), tmp_path)
        assert guides[27, 40] == pytest.approx([0.1, 0.6, 0.1, 1], abs=2e-3)
        assert guides[27, 56] == pytest.approx([0.2, 0.3, 0.4, 1], abs=2e-3)


def displayed(setup: ShotSetup, folder: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """A picture as Blender saves it, and by way of linear light. Runs in a process with bpy."""
    from farm.blender import film, frames
    from farm.scene.camera import view

    opened = frames.open_shot(setup, folder)
    camera, whole = view(opened.stage.lens, 30.0, 1.0), (0, 0, setup.width, setup.height)
    opened.stage.show_at(0.0)
    saved = film.render_image(opened.stage, camera, whole, folder)
    passes = film.render_passes(opened.stage, camera, whole, folder)
    colours = film.stacked(passes, "Combined", "RGB")
    return saved, film.to_display(colours, passes["Combined.A"], folder)


def fill_disk(bits: int, folder: Path) -> OSError:
    """The error of a picture that the disk has no room for. Runs in a process with bpy."""
    from farm.blender import film, frames

    frames.open_shot(replace(shot("draco.glb"), bits=bits), folder)
    plane = np.ones((100, 100), np.float32)
    with files_limited(4096), pytest.raises(OSError, match="no room") as failure:
        film.to_display(np.dstack([plane] * 3), plane, folder)
    return failure.value


class TestViewTransform:
    @pytest.mark.parametrize("bits", [8, 16])
    def test_is_that_of_blenders_own_pictures(self, inside: InsideBlender, tmp_path: Path, bits: int) -> None:
        setup = replace(shot("product.glb", size=SIZE, samples=3), bits=bits)
        saved, converted = (each.astype(float) for each in inside(displayed, setup, tmp_path))
        assert (saved[..., 3] != 0).any()
        assert np.abs(saved[..., 3] - converted[..., 3]).max() <= 1
        covered = saved[..., 3] > saved.max() / 4  # the straight colours of nearly clear pixels are rounded coarsely
        assert np.abs(saved - converted)[covered].max() <= (1 if bits == 8 else 16)

    @pytest.mark.parametrize("bits", [8, 16])
    def test_reports_a_full_disk(self, inside: InsideBlender, tmp_path: Path, bits: int) -> None:
        assert is_disk_full(inside(fill_disk, bits, tmp_path))


def denoised(colours: Plane, albedo: Plane, normals: Plane) -> Plane:
    """farm.blender.denoise.denoise, run in a process with bpy."""
    from farm.blender.denoise import HIGH, denoise

    return denoise(colours, albedo, normals, HIGH)


class TestDenoise:
    def test_removes_noise_and_keeps_what_the_guides_show(self, inside: InsideBlender) -> None:
        stripes = np.tile(np.repeat([0.2, 0.8], 3), 20)[:64]
        albedo = np.broadcast_to(stripes[None, :, None], (64, 64, 3)).astype(np.float32)
        noise = np.random.default_rng(1).normal(1, 0.3, albedo.shape)
        normals = np.zeros_like(albedo) + np.array([0, 0, 1], np.float32)
        clean = inside(denoised, (albedo * noise).astype(np.float32), albedo, normals)
        assert clean.shape == albedo.shape
        assert np.abs(clean - albedo).mean() < 0.3 * np.abs(albedo * noise - albedo).mean()

    def test_gives_the_edge_of_the_picture_no_cast_of_colour(self, inside: InsideBlender) -> None:
        wall = np.broadcast_to(np.array([0.6, 0.35, 0.3], np.float32), (64, 96, 3))
        noise = np.random.default_rng(1).normal(1, 0.2, (64, 96, 1)).clip(0, None)
        normals = np.zeros_like(wall) + np.array([0, -1, 0], np.float32)
        clean = inside(denoised, (wall * noise).astype(np.float32), wall, normals)
        casts = clean / clean.mean(axis=-1, keepdims=True) - wall / wall.mean(axis=-1, keepdims=True)
        for edge in (casts[0], casts[-1], casts[:, 0], casts[:, -1]):
            assert np.abs(edge.mean(axis=0)).max() < 0.008
