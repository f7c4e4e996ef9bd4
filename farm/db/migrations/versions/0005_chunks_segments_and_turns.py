"""Shots are drawn in chunks by many nodes, accounts taking turns; each leaves segments that are joined at the end."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SPEC_TIER = {"sqlite": "json_extract(shots.spec, '$.tier')", "postgresql": "shots.spec ->> 'tier'"}


def upgrade() -> None:
    op.add_column("shots", sa.Column("engine", sa.String(8)))
    with op.batch_alter_table("chunks") as chunks:
        chunks.add_column(sa.Column("account_id", sa.String(12)))
        chunks.add_column(sa.Column("render_id", sa.String(12)))
        chunks.add_column(sa.Column("kind", sa.String(8), nullable=False, server_default="draw"))
        chunks.add_column(sa.Column("tier", sa.String(16)))
        chunks.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="1"))
        chunks.add_column(sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
        chunks.add_column(sa.Column("seconds", sa.Float()))
    op.execute("UPDATE chunks SET priority = 0 WHERE is_preview")
    op.execute(
        "UPDATE chunks SET account_id = (SELECT models.account_id FROM shots JOIN models ON models.id = shots.model_id"
        f" WHERE shots.id = chunks.shot_id), tier = (SELECT {SPEC_TIER[op.get_bind().dialect.name]} FROM shots"
        " WHERE shots.id = chunks.shot_id)"
    )
    with op.batch_alter_table("chunks") as chunks:
        chunks.drop_column("is_preview")
        chunks.alter_column("account_id", existing_type=sa.String(12), nullable=False)
        chunks.alter_column("tier", existing_type=sa.String(16), nullable=False)
        chunks.alter_column("kind", existing_type=sa.String(8), server_default=None)
        chunks.alter_column("priority", existing_type=sa.Integer(), server_default=None)
        chunks.alter_column("turn", existing_type=sa.BigInteger(), server_default=None)
        for table in ("accounts", "renders"):
            column = f"{table[:-1]}_id"
            chunks.create_foreign_key(op.f(f"fk_chunks_{column}_{table}"), table, [column], ["id"], ondelete="CASCADE")
        chunks.create_unique_constraint(op.f("uq_chunks_render_id"), ["render_id"])
    op.create_index(op.f("ix_chunks_state_priority_turn"), "chunks", ["state", "priority", "turn"])
    op.create_index(
        op.f("ix_chunks_state_priority_account_id_turn"), "chunks", ["state", "priority", "account_id", "turn"]
    )
    measured = sa.text("seconds > 0")
    op.create_index(
        op.f("ix_chunks_tier_created_at"),
        "chunks",
        ["tier", "created_at"],
        sqlite_where=measured,
        postgresql_where=measured,
    )
    op.create_index(op.f("ix_chunks_worker_state"), "chunks", ["worker", "state"])
    op.create_table(
        "segments",
        sa.Column("render_id", sa.String(12), nullable=False),
        sa.Column("chunk_id", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("storage_key", sa.String(255), nullable=False),
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("fk_segments_chunk_id_chunks"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["render_id"], ["renders.id"], name=op.f("fk_segments_render_id_renders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("render_id", "kind", "chunk_id", name=op.f("uq_segments_render_id_kind_chunk_id")),
    )
    op.create_index(op.f("ix_segments_chunk_id"), "segments", ["chunk_id"])
    op.create_table(
        "sweeps",
        sa.Column("prefix", sa.String(255), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
    op.create_index(op.f("ix_sweeps_due_at"), "sweeps", ["due_at"])


def downgrade() -> None:
    op.drop_table("sweeps")
    op.drop_table("segments")
    op.execute("DELETE FROM chunks WHERE kind = 'finish'")
    for columns in ("worker_state", "tier_created_at", "state_priority_account_id_turn", "state_priority_turn"):
        op.drop_index(op.f(f"ix_chunks_{columns}"), "chunks")
    with op.batch_alter_table("chunks") as chunks:
        chunks.add_column(sa.Column("is_preview", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(f"UPDATE chunks SET is_preview = {sa.true().compile(dialect=op.get_bind().dialect)} WHERE priority = 0")
    with op.batch_alter_table("chunks") as chunks:
        chunks.drop_constraint(op.f("uq_chunks_render_id"), type_="unique")
        for table in ("accounts", "renders"):
            chunks.drop_constraint(op.f(f"fk_chunks_{table[:-1]}_id_{table}"), type_="foreignkey")
        for column in ("account_id", "render_id", "kind", "tier", "priority", "turn", "seconds"):
            chunks.drop_column(column)
    op.drop_column("shots", "engine")
