"""Tests that drive Blender: the stage, frames, shadows, reflections, templates and the host."""
