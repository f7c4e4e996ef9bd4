"""Credits with their ledger; what a key may do and until when; indexes for long lists of renders."""

import sqlalchemy as sa
from alembic import op

import farm.db.tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FREE_CREDITS = 10

LISTS_OF_RENDERS = (
    ["account_id", "created_at", "id"],
    ["account_id", "status", "created_at", "id"],
    ["model_id", "account_id", "created_at", "id"],
)


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
    op.drop_index("ix_renders_account_id_created_at", "renders")
    op.drop_index("ix_renders_model_id", "renders")
    for columns in LISTS_OF_RENDERS:
        op.create_index(op.f(f"ix_renders_{'_'.join(columns)}"), "renders", columns)


def _give_free_credits() -> None:
    """Accounts from before there were credits start like new ones."""
    op.execute(
        "INSERT INTO ledger (id, account_id, kind, credits, created_at) "
        f"SELECT id, id, 'grant', {FREE_CREDITS}, CURRENT_TIMESTAMP FROM accounts"
    )
    op.execute(f"UPDATE accounts SET credits = {FREE_CREDITS}")


def downgrade() -> None:
    for columns in LISTS_OF_RENDERS:
        op.drop_index(op.f(f"ix_renders_{'_'.join(columns)}"), "renders")
    op.create_index(op.f("ix_renders_model_id"), "renders", ["model_id"])
    op.create_index(op.f("ix_renders_account_id_created_at"), "renders", ["account_id", "created_at"])
    op.drop_table("ledger")
    op.drop_column("keys", "last_used_at")
    op.drop_column("keys", "expires_at")
    op.drop_column("keys", "scopes")
    op.drop_column("accounts", "credits")
