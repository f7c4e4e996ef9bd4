"""Tests of the camera paths."""
