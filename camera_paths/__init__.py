"""Camera paths: one small file per effect, each a pure function of time. A new file in this folder is a new effect."""

from pathlib import Path

from camera_paths.loading import BROKEN as BROKEN
from camera_paths.loading import BrokenPath as BrokenPath
from camera_paths.loading import load_folder
from camera_paths.path import PATHS as PATHS
from camera_paths.path import CameraPath as CameraPath
from camera_paths.path import Pose as Pose

load_folder(Path(__file__).parent, package=__name__)
