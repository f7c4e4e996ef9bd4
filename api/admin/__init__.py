"""Renders: one client request each."""
