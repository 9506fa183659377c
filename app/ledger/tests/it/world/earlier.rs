//! A world before its tables were what they are.

use domain::id::EpochId;
use ledger::{Address, Ledger, Login, secrets::SecretKey};
use sqlx::{PgPool, migrate::Migrator};

use super::{Proxy, World, at_noon};

impl World {
    /// One with the schema of an earlier version, in which its owner may do what tables of this version are not needed for.
    pub(crate) async fn earlier(pool: PgPool, version: i64) -> Self {
        let now = at_noon();
        let address = Address::from((*pool.connect_options()).clone());
        let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
        let migrations = ledger::MIGRATOR.iter().filter(|migration| migration.version <= version).cloned().collect();
        Migrator::with_migrations(migrations).run(&pool).await.unwrap();
        behind(&pool).await;
        let ledger = Ledger::connect_as_owner(&address, 5).dated(now);
        let proxy = Proxy::of(EpochId::new(now, [0; 10]));
        let world = Self::with(ledger, address, login, pool, now, proxy).await;
        sqlx::query(
            "alter table price_versions drop column withdrawn_at, drop column account_id, drop column ends_at, drop column service_tier",
        )
        .execute(&world.pool)
        .await
        .unwrap();
        world
    }

    /// Brings it to this version's, once its customers are there.
    pub(crate) async fn migrate(&mut self) {
        sqlx::raw_sql("alter table api_keys drop column models; alter table models drop column pdf_max").execute(&self.pool).await.unwrap();
        Ledger::migrate(&self.address, self.now).await.unwrap();
        Ledger::prepare_login(&self.address, &self.login).await.unwrap();
        self.ledger = Ledger::connect(&self.login, 5).dated(self.now);
    }
}

/// What is set up in an earlier version's schema is written to the log, and asks for further providers, neither of which was there yet: from a schema of
/// their own, which the tables of this version stand before once they are there. It asks for withdrawn prices and for customers' own, and for the models
/// of keys and the PDFs of models, too, by columns that their migrations find gone again.
async fn behind(pool: &PgPool) {
    let log = ledger::MIGRATOR.iter().find(|migration| migration.description == "audit").unwrap();
    let behind = format!(
        "create schema later; set search_path = later, public; {} create table fallbacks (model_id uuid, provider_id uuid, place bigint); reset search_path; \
         alter table price_versions add withdrawn_at timestamptz, add account_id uuid, add ends_at timestamptz, add service_tier text; \
         alter table api_keys add models text[]; alter table models add pdf_max bigint; \
         do $$ begin execute format('alter database %I set search_path = public, later', current_database()); end $$",
        log.sql.as_str()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(behind)).execute(pool).await.unwrap();
}
