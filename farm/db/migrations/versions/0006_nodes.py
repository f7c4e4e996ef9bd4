"""Nodes register, and tell what they are and that they live."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("engine", sa.String(8), nullable=False),
        sa.Column("gpu", sa.String(255)),
        sa.Column("has_gpu", sa.Boolean(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("plinth_version", sa.String(32), nullable=False),
        sa.Column("bpy_version", sa.String(32), nullable=False),
        sa.Column("database_version", sa.String(16), nullable=False),
        sa.Column("drawing_code", sa.String(100), nullable=False),
        sa.Column("always_draws", sa.Boolean(), nullable=False),
        sa.Column("draws", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("drain_at", sa.DateTime(timezone=True)),
        sa.Column("quarantined_at", sa.DateTime(timezone=True)),
        sa.Column("quarantine_reason", sa.Text()),
        sa.Column("failures", sa.JSON()),
        sa.Column("succeeded_at", sa.DateTime(timezone=True)),
        sa.Column("last_chunk_id", sa.String(12)),
        sa.Column("last_frame", sa.Integer()),
        sa.Column("last_frame_at", sa.DateTime(timezone=True)),
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("name", name=op.f("uq_nodes_name")),
    )
    op.create_index(op.f("ix_nodes_seen_at"), "nodes", ["seen_at"])


def downgrade() -> None:
    op.drop_table("nodes")
