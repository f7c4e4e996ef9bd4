"""Blender behind its door: the camera, the stage, the shadow and the host."""
