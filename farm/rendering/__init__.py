"""Frames drawn, composited and encoded: by the farm's workers, and by `farm render` without a server."""
