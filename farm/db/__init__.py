"""The database: tables, and every query about accounts, models, renders, chunks and nodes."""
