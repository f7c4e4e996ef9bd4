"""Checks and conversion of untrusted files before Blender opens them. Pure Python: nothing here imports bpy.

What this imports opens no file of a client in its own process: `farm.intake.check` does, and is imported by itself.
"""

from farm.intake.checked_model import CheckedModel, ModelFormat, format_of, is_scan
from farm.intake.checker import check_upload
from farm.intake.confined_process import convert_scan, unpack_model

__all__ = [
    "CheckedModel",
    "ModelFormat",
    "check_upload",
    "convert_scan",
    "format_of",
    "is_scan",
    "unpack_model",
]
