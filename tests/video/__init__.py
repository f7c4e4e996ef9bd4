"""Compositing, ffmpeg graphs and the one place that runs ffmpeg."""
