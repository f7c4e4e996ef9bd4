"""Groups of `farm` commands that fill a file of their own, and what all commands share."""
