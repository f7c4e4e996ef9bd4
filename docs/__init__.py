"""Pages for people, and what keeps their tables true."""
