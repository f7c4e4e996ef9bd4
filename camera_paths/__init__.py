"""Camera paths: one small file per effect, each a pure function of time."""

from camera_paths import hero_spin as hero_spin
from camera_paths import showcase as showcase
from camera_paths import turntable as turntable
from camera_paths import zoom_orbit as zoom_orbit
from camera_paths.path import PATHS as PATHS
from camera_paths.path import CameraPath as CameraPath
from camera_paths.path import Pose as Pose
