"""Tests of the queue, with real workers."""
