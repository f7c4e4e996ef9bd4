"""Checks and conversion of untrusted files before Blender opens them. Pure Python: nothing here imports bpy."""

from farm.intake.check import CheckedModel, ModelFormat, check_model, is_scan
from farm.intake.sandbox import convert_scan, unpack_model

__all__ = ["CheckedModel", "ModelFormat", "check_model", "convert_scan", "is_scan", "unpack_model"]
