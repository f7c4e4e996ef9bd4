"""`farm queue`: how much work waits and runs, by queue and by account."""

from farm.commands.shared import Data, Json, open_database, optional_iso_time, print_json, print_table
from farm.db import clock, statistics
from farm.db.clock import ago
from farm.scheduling import administration


def print_queue(data: Data = None, as_json: Json = False) -> None:
    """Show how many chunks wait and run, by queue and by account."""
    with open_database(data) as database, database.read() as db:
        at = clock.now(db)
        queues, accounts = administration.queues(db), statistics.unfinished_of_accounts(db)
    if as_json:
        by_queue = [
            {"queue": name, "waiting": waiting, "running": running, "oldest": optional_iso_time(oldest)}
            for name, waiting, running, oldest in queues
        ]
        by_account = [
            {
                "account": row.email,
                "waiting": row.waiting,
                "running": row.running,
                "oldest": optional_iso_time(row.oldest),
                "suspended": row.is_suspended,
                "nodeTag": row.node_tag,
            }
            for row in accounts
        ]
        print_json({"queues": by_queue, "accounts": by_account})
        return
    print_table(
        ("QUEUE", "WAITING", "RUNNING", "OLDEST WAITING"),
        [
            [name, str(waiting), str(running), ago(oldest, at) if oldest else ""]
            for name, waiting, running, oldest in queues
        ],
    )
    if accounts:
        print_table(
            ("ACCOUNT", "WAITING", "RUNNING", "OLDEST WAITING", "NOTE"),
            [
                [
                    row.email,
                    str(row.waiting),
                    str(row.running),
                    ago(row.oldest, at) if row.oldest else "",
                    "suspended" if row.is_suspended else f"bound to {row.node_tag}" if row.node_tag else "",
                ]
                for row in accounts
            ],
        )
