"""From drawn frames to video files: compositing, ffmpeg graphs, and the one place that runs ffmpeg."""
