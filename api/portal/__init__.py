"""The portal: web pages for clients, which call the same functions as the endpoints of the API."""
