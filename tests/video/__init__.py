"""Tests of compositing and encoding."""
