"""What happens to a stranger's file before Blender sees it. Pure Python: nothing here imports bpy."""

from farm.intake.check import CheckedModel, ModelFormat, check_model, is_scan
from farm.intake.sandbox import convert_scan

__all__ = ["CheckedModel", "ModelFormat", "check_model", "convert_scan", "is_scan"]
