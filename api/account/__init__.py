"""The account behind an API key, its credits, and quotes."""
