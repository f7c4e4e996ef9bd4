"""A sign of life touches no index: nodes are so few that reading them all is quicker than keeping an order of them."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_nodes_seen_at"), "nodes")


def downgrade() -> None:
    op.create_index(op.f("ix_nodes_seen_at"), "nodes", ["seen_at"])
