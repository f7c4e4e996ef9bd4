"""How alembic reaches our tables: through the engine that farm.db.session hands over."""

from alembic import context

from farm.db.tables import Table

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
