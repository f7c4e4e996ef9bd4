"""From drawn frames to video files: compositing, ffmpeg command lines, and running ffmpeg."""
