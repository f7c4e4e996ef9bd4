"""What happens to a stranger's file before Blender sees it. Pure Python: nothing here imports bpy."""

from farm.intake.check import ModelFormat, check_model

__all__ = ["ModelFormat", "check_model"]
