"""Scene templates: their files, their contract, and the commands for artists."""
