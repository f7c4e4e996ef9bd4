"""Models: uploaded files."""
