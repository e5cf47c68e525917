//! Whether the database is ours and for this release; migrations.

use mdhub_spec::ports::StoreError;
use sqlx::migrate::Migrator;
use sqlx::mysql::MySqlPool;

use super::fault::Fault;

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("../migrations/mysql");
    migrations.set_ignore_missing(true);
    migrations
}

/// Brings the schema up to this release. The server serialises several that do so at once by a lock of the migrator's.
pub(crate) async fn prepare(pool: &MySqlPool) -> Result<(), Fault> {
    if !fits(pool).await? {
        let mut connection = pool.acquire().await?;
        migrations().run_direct(None, &mut *connection, false).await?;
    }
    Ok(())
}

/// Whether nothing is to be migrated. Another program's database, one for a newer release, or one that has lost a table
/// is an error.
async fn fits(pool: &MySqlPool) -> Result<bool, Fault> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
            .fetch_all(pool)
            .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    // A migration that another program has under way begins with the table that records it.
    if tables.is_empty() || (has("_sqlx_migrations") && applied(pool).await?.is_empty()) {
        return Ok(false);
    }
    if let Some(missing) = ["schema", "accounts", "events"].into_iter().find(|name| !has(name)) {
        return Err(StoreError::Schema(format!(
            "it has tables, but not the table {missing}: name the database of a hub, or an empty one"
        ))
        .into());
    }
    let reader_min: Option<i64> = sqlx::query_scalar("SELECT MAX(reader_min) FROM `schema`").fetch_one(pool).await?;
    crate::check_reader(reader_min)?;
    let applied = applied(pool).await?;
    Ok(migrations().iter().all(|migration| applied.contains(&migration.version)))
}

async fn applied(pool: &MySqlPool) -> Result<Vec<i64>, Fault> {
    Ok(sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await?)
}
