"""Data that both sides of the Blender host's socket share: shots, frames, cameras, views. No bpy."""
