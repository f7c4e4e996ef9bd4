"""Blender behind a door: the only package that imports bpy, and only inside the host process (client.py never does)."""
