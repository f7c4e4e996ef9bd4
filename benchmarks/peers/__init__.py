"""Other renderers on the same shots as the farm."""
