"""Checks and conversion of untrusted files before Blender opens them. Pure Python: nothing here imports bpy."""

from farm.intake.check import CheckedModel, ModelFormat, check_model, format_of, is_scan
from farm.intake.checker import check_upload
from farm.intake.sandbox import convert_scan, unpack_model

__all__ = [
    "CheckedModel",
    "ModelFormat",
    "check_model",
    "check_upload",
    "convert_scan",
    "format_of",
    "is_scan",
    "unpack_model",
]
