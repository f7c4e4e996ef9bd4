"""`farm db`: database migrations."""

from contextlib import closing

import typer

from farm.commands.shared import Data, console, settings_with
from farm.db.session import Database

app = typer.Typer(no_args_is_help=True, help="The database's tables.")


@app.command()
def upgrade(data: Data = None) -> None:
    """Create the database's tables, or migrate them to the version that this Plinth needs."""
    with closing(Database(settings_with(data=data).database)) as database:
        database.upgrade()
        console.print(f"Database at version {database.version()}")
