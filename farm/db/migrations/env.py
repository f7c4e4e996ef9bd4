"""How alembic reaches our tables: through the engine that farm.db.session hands over."""

from alembic import context

from farm.db.tables import Table

with context.config.attributes["engine"].connect() as connection:
    if connection.dialect.name == "sqlite":
        # For some changes SQLite has to rebuild a table, and dropping the old one would take along every row that
        # refers to it. The pragma has no effect within a transaction, and stays: so this connection is closed, not
        # pooled, in the end.
        connection.detach()
        connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
