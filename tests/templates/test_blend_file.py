"""Linked libraries are found without Blender, in all variants of the .blend format."""

from pathlib import Path

import pytest

from farm import templates
from farm.errors import BadTemplate
from farm.templates.blend_file import linked_libraries
from tests.support.blender import InsideBlender

STUDIO = templates.blend("studio")


def save_linking(library: Path, target: Path, *, compress: bool, large_blocks: bool) -> None:
    """A .blend that links a light from `library`. Runs in a process with bpy."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(library), link=True) as (there, here):
        here.lights = there.lights[:1]
    lamp = bpy.data.objects.new("Key", here.lights[0])
    bpy.context.scene.collection.objects.link(lamp)
    preferences = bpy.context.preferences
    preferences.view.show_developer_ui = True
    preferences.experimental.write_large_blend_file_blocks = large_blocks
    bpy.ops.wm.save_as_mainfile(filepath=str(target), compress=compress, relative_remap=False)
    preferences.experimental.write_large_blend_file_blocks = False


@pytest.mark.slow
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("large_blocks", [False, True])
def test_names_a_linked_file(inside: InsideBlender, tmp_path: Path, compress: bool, large_blocks: bool) -> None:
    target = tmp_path / "linking.blend"
    inside(save_linking, STUDIO, target, compress=compress, large_blocks=large_blocks)
    assert (target.read_bytes()[:9] == b"BLENDER17") is (large_blocks and not compress)
    [library] = linked_libraries(target)
    assert library.endswith(str(STUDIO))


def test_finds_no_library_in_a_self_contained_file() -> None:
    assert linked_libraries(STUDIO) == []


@pytest.mark.parametrize("content", [b"", b"BLEND", b"no .blend at all, but long enough", b"\x28\xb5\x2f\xfdrubbish"])
def test_refuses_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.blend").write_bytes(content)
    with pytest.raises(BadTemplate, match=r"broken\.blend is not a complete \.blend"):
        linked_libraries(tmp_path / "broken.blend")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_refuses_a_truncated_file(tmp_path: Path, part: float) -> None:
    whole = STUDIO.read_bytes()
    (tmp_path / "half.blend").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(BadTemplate, match=r"half\.blend is not a complete \.blend"):
        linked_libraries(tmp_path / "half.blend")
