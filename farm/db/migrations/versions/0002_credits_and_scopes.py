"""Credits with their ledger; what a key may do and until when; indexes for long lists of renders."""

import sqlalchemy as sa
from alembic import op

import farm.db.tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FREE_CREDITS = 10


def upgrade() -> None:
    # Columns are added in place: rebuilding a table would, on SQLite, delete whatever refers to it.
    op.add_column("accounts", sa.Column("credits", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("keys", sa.Column("scopes", sa.JSON(), nullable=True))
    op.add_column("keys", sa.Column("expires_at", farm.db.tables.Moment(timezone=True), nullable=True))
    op.add_column("keys", sa.Column("last_used_at", farm.db.tables.Moment(timezone=True), nullable=True))
    op.create_table(
        "ledger",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("render_id", sa.String(length=12), nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", farm.db.tables.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_ledger_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("render_id", "kind", name=op.f("uq_ledger_render_id_kind")),
    )
    op.create_index(op.f("ix_ledger_account_id"), "ledger", ["account_id"])
    _give_free_credits()


def _give_free_credits() -> None:
    """Accounts from before there were credits start like new ones."""
    op.execute(
        "INSERT INTO ledger (id, account_id, kind, credits, created_at) "
        f"SELECT id, id, 'grant', {FREE_CREDITS}, CURRENT_TIMESTAMP FROM accounts"
    )
    op.execute(f"UPDATE accounts SET credits = {FREE_CREDITS}")


def downgrade() -> None:
    op.drop_table("ledger")
    op.drop_column("keys", "last_used_at")
    op.drop_column("keys", "expires_at")
    op.drop_column("keys", "scopes")
    op.drop_column("accounts", "credits")
