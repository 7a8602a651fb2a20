"""The migrations make the schema that this code expects."""

from shared.db.migrate import newest_migration
from shared.db.pool import Pool


async def test_a_fresh_database_is_at_the_newest_migration(pool: Pool) -> None:
    assert await pool.fetchval("select max(version) from schema_migrations") == newest_migration()
