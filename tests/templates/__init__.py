"""Tests of scene templates that need no Blender host."""
