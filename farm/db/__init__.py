"""The database: the truth about accounts, models, renders and the work under way."""
