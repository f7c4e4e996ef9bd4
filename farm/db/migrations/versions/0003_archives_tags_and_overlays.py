"""Models can be archived, tagged and deleted, and there are overlays."""

import sqlalchemy as sa
from alembic import op

import farm.db.tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NOT_DELETED = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    op.add_column("models", sa.Column("archived_at", farm.db.tables.Moment(timezone=True), nullable=True))
    op.add_column("models", sa.Column("deleted_at", farm.db.tables.Moment(timezone=True), nullable=True))
    op.add_column("models", sa.Column("has_file", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("models") as models:
        models.drop_column("tags")  # no way to set any was there before
        models.drop_constraint(op.f("uq_models_account_id_sha256"), type_="unique")
    op.create_index(
        op.f("ix_models_account_id_sha256"),
        "models",
        ["account_id", "sha256"],
        unique=True,
        sqlite_where=NOT_DELETED,
        postgresql_where=NOT_DELETED,
    )
    op.create_index(op.f("ix_models_account_id_created_at"), "models", ["account_id", "created_at"])
    op.create_index(op.f("ix_models_deleted_at"), "models", ["deleted_at"])

    op.create_table(
        "tags",
        sa.Column("model_id", sa.String(length=12), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", farm.db.tables.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_tags_model_id_models"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_model_id"), "tags", ["model_id"])
    op.create_index(op.f("ix_tags_tag_model_id"), "tags", ["tag", "model_id"])

    op.create_table(
        "overlays",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("layer", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("alignment", sa.String(length=16), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("storage_key", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", farm.db.tables.Moment(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", farm.db.tables.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_overlays_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overlays")),
    )
    for column in ("account_id", "published", "deleted_at"):
        op.create_index(op.f(f"ix_overlays_{column}"), "overlays", [column])


def downgrade() -> None:
    op.drop_table("overlays")
    op.drop_table("tags")
    op.drop_index(op.f("ix_models_deleted_at"), "models")
    op.drop_index(op.f("ix_models_account_id_created_at"), "models")
    op.drop_index(op.f("ix_models_account_id_sha256"), "models")
    _forget_deleted_models()
    with op.batch_alter_table("models") as models:
        models.create_unique_constraint(op.f("uq_models_account_id_sha256"), ["account_id", "sha256"])
        models.add_column(sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
        for column in ("has_file", "deleted_at", "archived_at"):
            models.drop_column(column)


def _forget_deleted_models() -> None:
    """They go for good, with their renders: two of one content cannot stay. Table by table, as SQLite does not
    cascade while it migrates."""
    models = "SELECT id FROM models WHERE deleted_at IS NOT NULL"
    op.execute(f"DELETE FROM assets WHERE render_id IN (SELECT id FROM renders WHERE model_id IN ({models}))")
    op.execute(f"DELETE FROM renders WHERE model_id IN ({models})")
    op.execute(f"DELETE FROM chunks WHERE shot_id IN (SELECT id FROM shots WHERE model_id IN ({models}))")
    op.execute(f"DELETE FROM shots WHERE model_id IN ({models})")
    op.execute("DELETE FROM models WHERE deleted_at IS NOT NULL")
