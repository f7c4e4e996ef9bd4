"""Render settings, their price, and the shots, datasets and chunks that follow from them. Pure."""
