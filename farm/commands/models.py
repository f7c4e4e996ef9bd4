"""`farm models`: the files that are refused because they crashed or hung Blender."""

from typing import Annotated

import typer

from farm.commands.shared import Data, Json, console, fail, iso_time, open_database, operator, print_json, print_table
from farm.db import audit, suspect_models

app = typer.Typer(no_args_is_help=True, help="Models that the farm refuses.")

SHORT_LENGTH = 12  # hexadecimal digits of a SHA-256 in the list


@app.command("refused")
def list_refused(data: Data = None, as_json: Json = False) -> None:
    """List the files that are refused because they crashed or hung Blender, the newest first."""
    with open_database(data) as database, database.read() as db:
        rows = suspect_models.all_refused(db)
    if as_json:
        refused = [
            {"sha256": row.sha256, "reason": row.reason, "when": iso_time(row.failed_at), "account": row.account_id}
            for row in rows
        ]
        print_json(refused)
        return
    print_table(
        ("SHA-256", "WHEN (UTC)", "ACCOUNT", "REASON"),
        [
            [row.sha256[:SHORT_LENGTH], f"{row.failed_at:%Y-%m-%d %H:%M:%S}", row.account_id or "all", row.reason]
            for row in rows
        ],
    )


@app.command()
def allow(
    sha256: Annotated[
        str, typer.Argument(metavar="SHA256", help=f"The file's SHA-256, or at least its first {SHORT_LENGTH} digits.")
    ],
    data: Data = None,
) -> None:
    """Accept a refused file again. It is refused once more when it has crashed or hung two other Blenders."""
    if len(sha256) < SHORT_LENGTH:
        fail(f"Give at least {SHORT_LENGTH} digits of the SHA-256, as `farm models refused` shows them")
    with open_database(data) as database, database.write() as db:
        rows = suspect_models.all_refused(db, sha256.lower())
        if not rows:
            fail(f"No refused file has the SHA-256 {sha256}. `farm models refused` shows all")
        if len(rows) > 1:
            fail(
                f"{len(rows)} refused files begin with {sha256}: give the whole SHA-256 (`farm models refused --json`)"
            )
        [row] = rows
        db.delete(row)
        audit.record(db, operator(), "models allow", row.sha256, reason=row.reason)
    console.print(f"{row.sha256} is accepted again")
