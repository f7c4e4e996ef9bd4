"""The Blender host process and its client. Only the host imports bpy; client.py never does."""
