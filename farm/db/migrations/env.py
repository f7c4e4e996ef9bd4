"""Runs alembic's migrations on the engine that farm.db.session passes."""

from alembic import context

from farm.db.tables import Table

with context.config.attributes["engine"].connect() as connection:
    if connection.dialect.name == "sqlite":
        # For some changes SQLite rebuilds a table, and dropping the old one would delete every row that refers to it.
        # The pragma has no effect within a transaction and outlasts it, so this connection is closed at the end
        # instead of returned to the pool.
        connection.detach()
        connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
