"""What a client asks for: render settings, their price, and what follows from them to be drawn. Pure."""
