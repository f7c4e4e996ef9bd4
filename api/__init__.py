"""The REST API. It never imports bpy and never runs ffmpeg."""
