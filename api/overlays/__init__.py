"""Overlays: images behind or in front of renders."""
