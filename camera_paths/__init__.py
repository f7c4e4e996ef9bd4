"""Camera paths: one small file per effect, each a pure function of time."""

from camera_paths import turntable as turntable
from camera_paths.path import PATHS as PATHS
from camera_paths.path import CameraPath as CameraPath
from camera_paths.path import Pose as Pose
