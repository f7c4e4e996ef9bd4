"""All tables of version 0.1."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from farm.db.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("suspended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("node_tag", sa.String(length=100), nullable=True),
        sa.Column("password_digest", sa.String(length=255), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
    )
    op.create_table(
        "audit",
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_created_at"), "audit", ["created_at"], unique=False)
    op.create_table(
        "cleanups",
        sa.Column("prefix", sa.String(length=255), nullable=False),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cleanups")),
    )
    op.create_index(op.f("ix_cleanups_due_at"), "cleanups", ["due_at"], unique=False)
    op.create_table(
        "counter_increments",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("amount", sa.Float(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counter_increments")),
    )
    op.create_table(
        "suspect_models",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("hosts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("is_refused", sa.Boolean(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspect_models")),
        sa.UniqueConstraint("sha256", name=op.f("uq_suspect_models_sha256")),
    )
    op.create_index(op.f("ix_suspect_models_failed_at"), "suspect_models", ["failed_at"], unique=False)
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("engine", sa.String(length=16), nullable=False),
        sa.Column("measured_engines", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("gpu", sa.String(length=255), nullable=True),
        sa.Column("has_gpu", sa.Boolean(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("plinth_version", sa.String(length=32), nullable=False),
        sa.Column("bpy_version", sa.String(length=32), nullable=False),
        sa.Column("database_version", sa.String(length=16), nullable=False),
        sa.Column("drawing_code", sa.String(length=100), nullable=False),
        sa.Column("sandbox", sa.String(length=16), nullable=False),
        sa.Column("always_draws", sa.Boolean(), nullable=False),
        sa.Column("draws", sa.Boolean(), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("drain_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("quarantined_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("quarantine_reason", sa.Text(), nullable=True),
        sa.Column("check_due_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("clock_offset", sa.Float(), nullable=False),
        sa.Column("failures", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("quick_failures", sa.Integer(), nullable=False),
        sa.Column("succeeded_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_chunk_id", sa.String(length=12), nullable=True),
        sa.Column("last_frame", sa.Integer(), nullable=True),
        sa.Column("last_frame_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("name", name=op.f("uq_nodes_name")),
    )
    op.create_table(
        "answers",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("route", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("lease_until", UtcDateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_answers_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("account_id", "route", "key", name=op.f("uq_answers_account_id_route_key")),
    )
    op.create_index(op.f("ix_answers_created_at"), "answers", ["created_at"], unique=False)
    op.create_table(
        "browser_sessions",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=255), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_browser_sessions_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_browser_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_browser_sessions_digest")),
    )
    op.create_index(op.f("ix_browser_sessions_account_id"), "browser_sessions", ["account_id"], unique=False)
    op.create_index(op.f("ix_browser_sessions_expires_at"), "browser_sessions", ["expires_at"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("digest", name=op.f("uq_invitations_digest")),
    )
    op.create_index(op.f("ix_invitations_expires_at"), "invitations", ["expires_at"], unique=False)
    op.create_table(
        "keys",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("revoked_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=True),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_keys_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys_digest")),
    )
    op.create_index(op.f("ix_keys_account_id"), "keys", ["account_id"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("account_id", sa.String(length=12), nullable=True),
        sa.Column("render_id", sa.String(length=12), nullable=True),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_ledger_account_id_accounts"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("render_id", "retries", "kind", name=op.f("uq_ledger_render_id_retries_kind")),
    )
    op.create_index(op.f("ix_ledger_account_id"), "ledger", ["account_id"], unique=False)
    op.create_table(
        "models",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("original_name", sa.String(length=255), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=True),
        sa.Column("sku", sa.String(length=255), nullable=True),
        sa.Column("external_id", sa.String(length=256), nullable=True),
        sa.Column("clips", sa.JSON(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("archived_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("has_file", sa.Boolean(), nullable=False),
        sa.Column("failed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_models_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_index(op.f("ix_models_account_id_created_at"), "models", ["account_id", "created_at"], unique=False)
    op.create_index(op.f("ix_models_account_id_external_id"), "models", ["account_id", "external_id"], unique=False)
    op.create_index(
        op.f("ix_models_account_id_sha256"),
        "models",
        ["account_id", "sha256"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(op.f("ix_models_deleted_at"), "models", ["deleted_at"], unique=False)
    op.create_index(op.f("ix_models_failed_at"), "models", ["failed_at"], unique=False)
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
        sa.Column("deleted_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_overlays_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overlays")),
    )
    op.create_index(op.f("ix_overlays_account_id"), "overlays", ["account_id"], unique=False)
    op.create_index(op.f("ix_overlays_deleted_at"), "overlays", ["deleted_at"], unique=False)
    op.create_index(op.f("ix_overlays_published"), "overlays", ["published"], unique=False)
    op.create_table(
        "shots",
        sa.Column("model_id", sa.String(length=12), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(length=16), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_shots_model_id_models"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shots")),
    )
    op.create_index(op.f("ix_shots_digest"), "shots", ["digest"], unique=False)
    op.create_index(op.f("ix_shots_model_id"), "shots", ["model_id"], unique=False)
    op.create_table(
        "tags",
        sa.Column("model_id", sa.String(length=12), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_tags_model_id_models"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_model_id"), "tags", ["model_id"], unique=False)
    op.create_index(op.f("ix_tags_tag_model_id"), "tags", ["tag", "model_id"], unique=False)
    op.create_table(
        "renders",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("model_id", sa.String(length=12), nullable=False),
        sa.Column("shot_id", sa.String(length=12), nullable=False),
        sa.Column("is_system_preview", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("client_metadata", sa.JSON(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_renders_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_renders_model_id_models"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["shot_id"], ["shots.id"], name=op.f("fk_renders_shot_id_shots"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renders")),
    )
    op.create_index(
        op.f("ix_renders_account_id_created_at_id"), "renders", ["account_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_renders_account_id_status_created_at_id"),
        "renders",
        ["account_id", "status", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_renders_model_id_account_id_created_at_id"),
        "renders",
        ["model_id", "account_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_renders_created_at_id"), "renders", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_renders_shot_id"), "renders", ["shot_id"], unique=False)
    op.create_table(
        "assets",
        sa.Column("render_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("storage_key", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["render_id"], ["renders.id"], name=op.f("fk_assets_render_id_renders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("render_id", "kind", name=op.f("uq_assets_render_id_kind")),
    )
    op.create_index(op.f("ix_assets_created_at_size"), "assets", ["created_at", "size"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("shot_id", sa.String(length=12), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("render_id", sa.String(length=12), nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("first_frame", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("frames_done", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("seconds_lost", sa.Float(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("lease_until", UtcDateTime(timezone=True), nullable=True),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(length=255), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_chunks_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["render_id"], ["renders.id"], name=op.f("fk_chunks_render_id_renders"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["shot_id"], ["shots.id"], name=op.f("fk_chunks_shot_id_shots"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sa.UniqueConstraint("render_id", name=op.f("uq_chunks_render_id")),
    )
    op.create_index(
        op.f("ix_chunks_account_id_state_priority_turn"),
        "chunks",
        ["account_id", "state", "priority", "turn"],
        unique=False,
    )
    op.create_index(
        op.f("ix_chunks_due_at"),
        "chunks",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_chunks_shot_id"), "chunks", ["shot_id"], unique=False)
    op.create_index(
        op.f("ix_chunks_state_priority_turn_created_at"),
        "chunks",
        ["state", "priority", "turn", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_chunks_tier_created_at"),
        "chunks",
        ["tier", "created_at"],
        unique=False,
        sqlite_where=sa.text("seconds > 0"),
        postgresql_where=sa.text("seconds > 0"),
    )
    op.create_table(
        "attempt_logs",
        sa.Column("chunk_id", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("began_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("noticed_by", sa.String(length=16), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("fk_attempt_logs_chunk_id_chunks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt_logs")),
        sa.UniqueConstraint("chunk_id", "attempt", name=op.f("uq_attempt_logs_chunk_id_attempt")),
    )
    op.create_index(
        op.f("ix_attempt_logs_ended_at"),
        "attempt_logs",
        ["ended_at", "outcome", "worker", "chunk_id"],
        unique=False,
    )
    op.create_table(
        "segments",
        sa.Column("render_id", sa.String(length=12), nullable=False),
        sa.Column("chunk_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("storage_key", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("fk_segments_chunk_id_chunks"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["render_id"], ["renders.id"], name=op.f("fk_segments_render_id_renders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("render_id", "kind", "chunk_id", name=op.f("uq_segments_render_id_kind_chunk_id")),
    )
    op.create_index(op.f("ix_segments_chunk_id"), "segments", ["chunk_id"], unique=False)


def downgrade() -> None:
    for table in (
        "segments",
        "attempt_logs",
        "chunks",
        "assets",
        "renders",
        "tags",
        "shots",
        "overlays",
        "models",
        "ledger",
        "keys",
        "invitations",
        "browser_sessions",
        "answers",
        "nodes",
        "suspect_models",
        "counter_increments",
        "cleanups",
        "audit",
        "accounts",
    ):
        op.drop_table(table)
