"""Overlays: pictures behind or before renders."""
