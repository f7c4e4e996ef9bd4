"""Tests of the sheet that shows a camera path."""
