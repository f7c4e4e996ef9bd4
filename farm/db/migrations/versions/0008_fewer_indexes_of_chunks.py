"""Waiting chunks are read in the order of their turns, and a lease is renewed without touching an index."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OLD = (
    ["state", "lease_until"],
    ["state", "priority", "turn"],
    ["state", "priority", "account_id", "turn"],
    ["worker", "state"],
)
NEW = (["state", "priority", "turn", "created_at"], ["account_id", "state", "priority", "turn"])


# PostgreSQL counts again what is in the table, and takes dead rows away, once so large a part of it has changed: what
# waits is but a small part of a large farm's chunks, and yet all that a claim looks at.
VACUUM = {"autovacuum_analyze_scale_factor": 0.01, "autovacuum_vacuum_scale_factor": 0.01}


def upgrade() -> None:
    _replace(OLD, NEW)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE chunks SET ({', '.join(f'{name} = {part}' for name, part in VACUUM.items())})")


def downgrade() -> None:
    _replace(NEW, OLD)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE chunks RESET ({', '.join(VACUUM)})")


def _replace(old: tuple[list[str], ...], new: tuple[list[str], ...]) -> None:
    for columns in old:
        op.drop_index(_name(columns), "chunks")
    for columns in new:
        op.create_index(_name(columns), "chunks", columns)


def _name(columns: list[str]) -> str:
    return op.f(f"ix_chunks_{'_'.join(columns)}")
