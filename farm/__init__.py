"""The render farm behind the API: settings, database, queue, Blender, video."""

__version__ = "0.1.0"
