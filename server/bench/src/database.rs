//! The database of the run: what calls need in it, what has been posted, and PostgreSQL's own processor time.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{
    id::{AccountId, KeyId, ProjectId},
    key::ApiKey,
    money::Amount,
};
use ledger::{Address, Ledger, MoneyIn, NewKey};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::task::JoinSet;

use crate::cores::{Cores, Stat, children};

const DATABASE: &str = "farebox_bench_proxy";
/// How long it may take until all is posted.
const POSTED_TIMEOUT: Duration = Duration::from_secs(120);
/// How often to look whether it is. Each look costs PostgreSQL a query.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const CONNECTIONS: u32 = 8;

pub(crate) struct Database {
    /// As whoever owns it reaches it.
    pub(crate) url: String,
    admin: PgConnection,
    owner: PgConnection,
    postmaster: Option<u32>,
}

impl Database {
    /// Makes an empty one beside that of this address, and keeps its server off the gateway's core.
    pub(crate) async fn make(url: &str, cores: &Cores) -> Self {
        let mut admin = PgConnection::connect(url).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database if exists {DATABASE}"))).execute(&mut admin).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {DATABASE}"))).execute(&mut admin).await.unwrap();
        let postmaster = postmaster(&mut admin).await;
        match postmaster {
            Some(pid) if cores.keep_off(pid) => {
                // One that has ended meanwhile needs no core.
                children(pid).iter().for_each(|(child, _)| _ = cores.keep_off(*child));
            }
            Some(_) => println!("PostgreSQL may run on the gateway's core: its processes are not ours to pin."),
            None => println!("PostgreSQL is elsewhere: its processor time is not counted."),
        }
        let options = url.parse::<PgConnectOptions>().unwrap().database(DATABASE);
        let url = options.to_url_lossy().to_string();
        let owner = PgConnection::connect(&url).await.unwrap();
        Self { url, admin, owner, postmaster }
    }

    /// Drops it, and lets its server run where it could.
    pub(crate) async fn remove(mut self, cores: &Cores) {
        self.owner.close().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database {DATABASE} with (force)"))).execute(&mut self.admin).await.unwrap();
        if let Some(pid) = self.postmaster {
            children(pid).iter().for_each(|(child, _)| cores.let_go(*child));
            cores.let_go(pid);
        }
    }

    /// Makes so many accounts with credit. Returns a key of each.
    pub(crate) async fn customers(&mut self, count: usize) -> Vec<String> {
        let now = Utc::now();
        let accounts: Vec<_> = (0..count).map(|_| AccountId::new(now, rand::random())).collect();
        let ids: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
        // People are none of this; a password's hash takes longer than many calls.
        for statement in [
            "insert into accounts (account_id, name, created_at) select id, id::text, $2 from unnest($1::uuid[]) id",
            "insert into projects (account_id, project_id, name, created_at) select id, id, 'Default', $2 from unnest($1::uuid[]) id",
            "insert into heads (account_id, posted_at) select id, $2 from unnest($1::uuid[]) id",
            "insert into grants (account_id, grant_id, kind, unit, starts_at) select id, id, 'wallet', 'money', $2 \
             from unnest($1::uuid[]) id",
        ] {
            sqlx::query(statement).bind(&ids).bind(now).execute(&mut self.owner).await.unwrap();
        }
        let ledger = Ledger::connect_as_owner(&Address::parse(&self.url).unwrap(), CONNECTIONS);
        let mut making = JoinSet::new();
        for some in accounts.chunks(count.div_ceil(CONNECTIONS as usize).max(1)) {
            making.spawn(give_credit_and_keys(ledger.clone(), some.to_vec(), now));
        }
        let keys = making.join_all().await.concat();
        ledger.close().await;
        keys
    }

    /// Waits until so many calls are posted. Returns how many are.
    pub(crate) async fn posted(&mut self, calls: u64) -> u64 {
        let deadline = Instant::now() + POSTED_TIMEOUT;
        loop {
            let sum = "select coalesce(sum(requests), 0)::bigint from usage_daily";
            let posted: i64 = sqlx::query_scalar(sum).fetch_one(&mut self.owner).await.unwrap();
            if posted.unsigned_abs() >= calls || Instant::now() > deadline {
                return posted.unsigned_abs();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// How many calls are in the books.
    pub(crate) async fn calls(&mut self) -> u64 {
        let calls: i64 = sqlx::query_scalar("select count(*) from calls").fetch_one(&mut self.owner).await.unwrap();
        calls.unsigned_abs()
    }

    /// What all processes of PostgreSQL have taken so far, in microseconds.
    pub(crate) fn cpu_us(&self) -> Option<u64> {
        let pid = self.postmaster?;
        let itself = Stat::of(pid)?;
        Some(itself.cpu_us + itself.children_cpu_us + children(pid).iter().map(|(_, stat)| stat.cpu_us).sum::<u64>())
    }
}

async fn give_credit_and_keys(ledger: Ledger, accounts: Vec<AccountId>, now: DateTime<Utc>) -> Vec<String> {
    let mut keys = Vec::new();
    for id in accounts {
        let account = ledger.system().account(id);
        let amount = Amount::from_units(10_000).unwrap();
        account.top_up(MoneyIn { amount, idempotency_key: "bench", memo: "", actor: "", now }).await.unwrap();
        let secret = ApiKey::from_random(rand::random());
        let key = KeyId::new(now, rand::random());
        let project = ProjectId::first_of(id);
        account
            .create_key(NewKey { id: key, secret: &secret, name: "bench", project, member: None, models: None, expires_at: None, now })
            .await
            .unwrap();
        keys.push(secret.expose().to_owned());
    }
    keys
}

/// The server's first process, if it is on this machine and can be seen.
async fn postmaster(connection: &mut PgConnection) -> Option<u32> {
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await.unwrap();
    let parent = Stat::of(backend.unsigned_abs())?.parent;
    let is_postgres = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres");
    (is_postgres(backend.unsigned_abs()) && is_postgres(parent)).then_some(parent)
}
