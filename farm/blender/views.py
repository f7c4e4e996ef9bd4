"""Draw one view of a dataset: the subject's picture and its G-buffer."""

from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from farm.blender.film import prepare, render_to_file
from farm.blender.frames import FILTER_BORDER, draw_subject, remove_leftovers
from farm.blender.guides import Guides
from farm.blender.passes import Passes
from farm.blender.stage import Stage, set_up
from farm.blender.unlit import Unlit
from farm.scene import views
from farm.scene.camera import Array, crop
from farm.scene.drawn_view import DrawnView, Opened
from farm.scene.shot import ShotSetup

MAX_TRANSPARENT_LAYERS = 128  # of cut-out surfaces behind each other, such as leaves
# From glTF's axes (y up, z to the front) to Blender's, as the importer converts them.
Y_UP_TO_Z_UP = Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))


@dataclass(frozen=True)
class OpenViews:
    """A dataset's shot on its stage, with the data that all of its views share."""

    shot: ShotSetup
    stage: Stage
    guides: Guides | None
    unlit: Unlit | None
    passes: Passes

    @property
    def info(self) -> Opened:
        to_origin = Matrix.Translation((0.0, 0.0, -self.stage.sphere_height))
        matrix = np.array(to_origin @ self.stage.root_matrix @ Y_UP_TO_Z_UP, dtype=float)
        return Opened(matrix.tolist(), bpy.app.version_string)


def open_views(shot: ShotSetup, folder: Path) -> OpenViews:
    """Set the stage for a dataset, without the template's set. Raises BadModel and BadTemplate."""
    remove_leftovers(folder)
    stage = set_up(shot)
    stage.remove_set()
    guides = Guides.of(stage) if shot.engine != "eevee" else None
    passes = Passes.of(stage)
    prepare(stage, shot)
    stage.camera.data.lens = views.FOCAL_LENGTH_MM
    scene = bpy.context.scene
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0
    scene.cycles.transparent_max_bounces = MAX_TRANSPARENT_LAYERS
    for object_ in scene.objects:
        if object_.type == "LIGHT":  # some cameras see it behind the subject
            object_.visible_camera = False
    return OpenViews(shot, stage, guides, Unlit.of(stage), passes)


def draw_view(opened: OpenViews, number: int, pose: Array, folder: Path) -> DrawnView:
    """Draw one view into files in `folder`, cropped to the subject.

    `pose` is the 4x4 camera-to-world matrix in the dataset's world.
    """
    name = f"frame-{number:06d}"
    stage = opened.stage
    camera = views.camera(pose, opened.shot.width, stage.sphere_height)
    subject = draw_subject(opened, camera, stage.points, folder / f"{name}.rgba").layer
    passes = folder / f"{name}.exr"
    with opened.passes.drawn():
        render_to_file(stage, camera, crop(camera, stage.points, FILTER_BORDER), passes)
    return DrawnView(number, subject, replace(subject, path=str(passes)))
