"""Tests of api/guides."""
