"""Tests of what stands behind the API."""
