"""`farm db`: database migrations."""

import typer

from farm.commands.shared import Data, console, open_database

app = typer.Typer(no_args_is_help=True, help="The database.")


@app.command()
def upgrade(data: Data = None) -> None:
    """Migrate the database to this version's tables."""
    with open_database(data) as database:
        console.print(f"Database at version {database.version()}")
