//! A small deployment to test in: one provider, one priced model, and as many customers as a test asks for.

mod calls;
mod catalog;
mod customers;
mod earlier;
mod grants;
mod leases;
mod plans;
mod proven;
mod proxy;

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    id::{CallId, EpochId, PriceId},
    money::Amount,
    rates::Rates,
};
use ledger::{Address, Ledger, Login, secrets::SecretKey};
use sqlx::PgPool;
use uuid::Uuid;

pub(crate) use self::{
    calls::with,
    catalog::MODEL,
    customers::{Customer, PASSWORD},
    leases::{ask, split_of},
    plans::monthly,
    proxy::{PROXY, Proxy, give_back_all},
};
use self::{leases::Held, proxy::begin};
use crate::twin;

/// How long a connection may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) address: Address,
    pub(crate) login: Login,
    /// As the owner of the schema, for looking and for tampering.
    pub(crate) pool: PgPool,
    pub(crate) now: DateTime<Utc>,
    pub(crate) price: PriceId,
    pub(crate) rates: Rates,
    /// The proxy of all calls of which a test does not say whose they are.
    pub(crate) proxy: Proxy,
    serial: AtomicU64,
    /// What leased calls hold.
    held: Mutex<HashMap<CallId, Held>>,
}

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

impl World {
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::of(pool, twin::is_wanted()).await
    }

    /// One whose tables are spread by the account, see [`twin`].
    pub(crate) async fn spread(pool: PgPool) -> Self {
        Self::of(pool, true).await
    }

    async fn of(pool: PgPool, is_spread: bool) -> Self {
        let now = at_noon();
        let address = Address::from((*pool.connect_options()).clone());
        let login = Login::derived(&address, &SecretKey::from_bytes([7; 32]));
        Ledger::migrate(&address, now).await.unwrap();
        if is_spread {
            twin::spread(&pool).await;
        }
        Ledger::prepare_login(&address, &login).await.unwrap();
        // What is posted is of the same day as what it is of.
        let ledger = Ledger::connect_patiently(&login, 20, PATIENCE).dated(now);
        let proxy = begin(&ledger, EpochId::new(now, [0; 10]), PROXY, now).await;
        Self::with(ledger, address, login, pool, now, proxy).await
    }

    async fn with(ledger: Ledger, address: Address, login: Login, pool: PgPool, now: DateTime<Utc>, proxy: Proxy) -> Self {
        let rates = Rates::plain(amount("0.001"), amount("0.002"));
        let (price, serial, held) = (PriceId::from_uuid(Uuid::from_u128(1)), AtomicU64::new(0), Mutex::default());
        let mut world = Self { ledger, address, login, pool, now, price, rates, proxy, serial, held };
        world.add_catalog().await;
        world
    }

    /// Different each time, the same in each run.
    pub(crate) fn random(&self) -> [u8; 10] {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&serial.to_be_bytes());
        bytes
    }
}

fn at_noon() -> DateTime<Utc> {
    "2026-06-15T12:30:00Z".parse().unwrap()
}
