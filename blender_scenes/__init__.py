"""Scene templates: each a .blend with a .toml of the same name beside it."""
