"""Assets: the finished files of a render."""
