"""PostgreSQL looks at the busiest tables less often: each time all connections plan anew what they ask about them."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BEFORE = {"chunks": {"autovacuum_analyze_scale_factor": 0.01, "autovacuum_vacuum_scale_factor": 0.01}}
# A chunk's row changes half a dozen times, a node's with every sign of life, and a segment goes with its video. Dead
# rows of chunks go by their number, however large the table is: a claim passes over all that were claimed before it.
AFTER: dict[str, dict[str, float]] = {
    "chunks": {
        "autovacuum_analyze_scale_factor": 1,
        "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_threshold": 10_000,
    },
    "nodes": {"autovacuum_analyze_threshold": 100_000, "autovacuum_vacuum_threshold": 2_000},
    "segments": {"autovacuum_analyze_threshold": 50_000, "autovacuum_vacuum_threshold": 5_000},
}


def upgrade() -> None:
    _replace(BEFORE, AFTER)


def downgrade() -> None:
    _replace(AFTER, BEFORE)


def _replace(old: dict[str, dict[str, float]], new: dict[str, dict[str, float]]) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, options in old.items():
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(options)})")
    for table, options in new.items():
        op.execute(f"ALTER TABLE {table} SET ({', '.join(f'{name} = {value}' for name, value in options.items())})")
