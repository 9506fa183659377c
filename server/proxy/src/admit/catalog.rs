//! What can be called: a snapshot of the ledger's catalog, made anew every second and read without a lock.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{Model, PriceVersion},
    id::{AccountId, ProviderId},
    own_price,
    price_history::LEAD_MIN,
    pricing::Discount,
    service_tier::ServiceTier,
};
use ledger::{Meter, OwnPrices, Upstream, secrets::SecretKey};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    routes::Route,
    target::{Target, target},
};
use crate::{instruments::meters::Meters, upstream::health::Health};

const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// A connection that hangs gives way to another in time to read the catalog before it is stale.
const LOAD_TIMEOUT: Duration = Duration::from_secs(3);
/// A catalog that is older admits nothing. Half of a price's lead: the other half is for clocks that differ and for a price whose commit takes its time.
const AGE_MAX: Duration = Duration::from_secs(LEAD_MIN.num_seconds().unsigned_abs() / 2);
/// How long a call waits for one that is not.
const PATIENCE: Duration = Duration::from_secs(1);
/// How far this machine's clock may be off PostgreSQL's. Prices take effect, and holds end, by either.
const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// Why a provider cannot be called that was added with another secret key.
const UNOPENED: &str = "its credential does not open with this secret key: it was added with another";

/// The snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) models: HashMap<String, Arc<Entry>>,
    read: Instant,
    /// How far this machine's clock was off at least.
    skew: TimeDelta,
    /// How providers fare, by the addresses that they have.
    healths: HashMap<(ProviderId, String), Arc<Health>>,
    /// Providers that cannot be called, and why.
    unusable: BTreeMap<String, &'static str>,
}

/// A model, where it is answered and what it costs.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) model: Model,
    /// In the order in which they are asked, without those whose provider cannot be called; the log says why.
    pub(crate) routes: Vec<Arc<Route>>,
    /// In force and scheduled, of every service tier, oldest first.
    sale: Vec<Arc<PriceVersion>>,
    /// What customers pay instead who have agreed on a price of their own.
    own: HashMap<AccountId, OwnPrices>,
}

/// What a call is charged by.
#[derive(Debug, Clone)]
pub(crate) struct Price {
    pub(crate) version: Arc<PriceVersion>,
    /// Off that.
    pub(crate) discount: Discount,
}

impl Entry {
    /// The price of an account's call that is admitted at this instant and served at this tier, and what is taken off it: nothing off a price that is the
    /// account's own, which is of the default.
    pub(crate) fn price_at(&self, (account, discount): (AccountId, Discount), tier: ServiceTier, now: DateTime<Utc>) -> Option<Price> {
        if let Some(own) = self.own.get(&account) {
            // One that cannot be read is not everyone's price: nobody can say what it is.
            let own = own_price::in_force(own.as_ref()?, now).filter(|_| tier == ServiceTier::Default);
            if let Some(own) = own {
                return Some(Price { version: Arc::new(own.version.clone()), discount: Discount::NONE });
            }
        }
        let version = self.sale.iter().rev().find(|version| version.service_tier == tier && version.effective_from <= now)?;
        Some(Price { version: Arc::clone(version), discount })
    }

    /// Whether an operator lets this member of requests pass, at one of its providers at least.
    pub(crate) fn opens(&self, member: &str) -> bool {
        self.routes.iter().any(|route| route.model.opens(member))
    }
}

impl Snapshot {
    /// Reads the catalog, with the prices of calls that arrived up to `arrivals` ago: a call is priced as of its arrival, and its body may have
    /// taken its time. What `before` counts goes on to be counted.
    pub(crate) async fn load(meter: &Meter, secret: &SecretKey, arrivals: Duration, before: Option<&Self>) -> ledger::Result<Self> {
        let (read, asked) = (Instant::now(), Utc::now());
        let since = asked - TimeDelta::from_std(arrivals).unwrap_or_default();
        let catalog = meter.catalog(secret, since).await?;
        let skew = skew(asked, catalog.clock, Utc::now());
        let mut unusable: BTreeMap<_, _> = catalog.unopened.into_iter().map(|name| (name, UNOPENED)).collect();
        let mut targets: HashMap<ProviderId, (Arc<Target>, Arc<Health>)> = HashMap::new();
        let mut healths = HashMap::new();
        for (id, Upstream { provider, credential }) in catalog.providers {
            match target(&provider, credential.as_deref()) {
                Ok(target) => {
                    let place = (id, provider.base_url);
                    let known = before.and_then(|before| before.healths.get(&place)).map(Arc::clone);
                    let health = known.unwrap_or_else(|| Health::of(&provider.name));
                    healths.insert(place, Arc::clone(&health));
                    targets.insert(id, (Arc::new(target), health));
                }
                Err(why) => drop(unusable.insert(provider.name, why)),
            }
        }
        let route = |model: Model| -> Option<Arc<Route>> {
            let (target, health) = targets.get(&model.provider_id)?.clone();
            let meters = before.and_then(|before| before.meters_of(&model)).unwrap_or_else(|| Meters::of(&model));
            Some(Arc::new(Route { model, target, health, meters }))
        };
        let models = catalog.models.into_iter().map(|(name, found)| {
            let (routes, sale) = (found.routes.into_iter().filter_map(route), found.sale.into_iter().map(Arc::new));
            (name, Arc::new(Entry { model: found.model, routes: routes.collect(), sale: sale.collect(), own: found.own }))
        });
        let models = models.collect();
        if let Some(before) = before {
            before.healths.iter().filter(|(place, _)| !healths.contains_key(*place)).for_each(|(_, health)| health.retire());
        }
        Ok(Self { models, read, skew, healths, unusable })
    }

    fn meters_of(&self, model: &Model) -> Option<Arc<Meters>> {
        let mut meters = self.models.get(&model.name)?.routes.iter().map(|route| &route.meters);
        meters.find(|meters| meters.are_of(model)).map(Arc::clone)
    }

    /// Says which providers cannot be called, unless that was said of the snapshot before.
    pub(crate) fn say_what_is_unusable(&self, before: Option<&Self>) {
        for (provider, why) in
            self.unusable.iter().filter(|(name, why)| before.is_none_or(|before| before.unusable.get(*name) != Some(why)))
        {
            tracing::error!(provider, why, "this provider cannot be called");
        }
    }

    /// Whether calls can be priced by it: not when it may lack a price that is in force, nor when that depends on whose clock is asked.
    pub(crate) fn is_current(&self) -> bool {
        self.read.elapsed() <= AGE_MAX && self.skew <= SKEW_MAX
    }
}

/// How far apart two clocks are at least, when one of them was read between two readings of the other.
fn skew(asked: DateTime<Utc>, theirs: DateTime<Utc>, answered: DateTime<Utc>) -> TimeDelta {
    (asked - theirs).max(theirs - answered).max(TimeDelta::zero())
}

/// A snapshot by which calls can be priced; `None` if there is none for too long. Where this process stood still, the next one is moments away.
pub(crate) async fn current(snapshot: &ArcSwap<Snapshot>, renewed: &Notify) -> Option<Arc<Snapshot>> {
    let waiting = async {
        loop {
            // Before it is looked at: what is renewed in between is not missed.
            let next = renewed.notified();
            let found = snapshot.load_full();
            if found.is_current() {
                return found;
            }
            next.await;
        }
    };
    timeout(PATIENCE, waiting).await.ok()
}

/// Keeps the snapshot new until it is told to stop. While the ledger is away the last one stays, until it is stale.
pub(crate) async fn refresh(
    snapshot: Arc<ArcSwap<Snapshot>>,
    renewed: Arc<Notify>,
    meter: Meter,
    secret: SecretKey,
    arrivals: Duration,
    quit: CancellationToken,
) {
    let mut ticks = tokio::time::interval(REFRESH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        tokio::select! {
            () = quit.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let before = snapshot.load_full();
        let loading = timeout(LOAD_TIMEOUT, Snapshot::load(&meter, &secret, arrivals, Some(&*before)));
        let Some(loaded) = quit.run_until_cancelled(loading).await else { return };
        let problem = match loaded {
            Ok(Ok(loaded)) => {
                if loaded.skew > SKEW_MAX {
                    tracing::error!(skew = %loaded.skew, "this machine's clock is not PostgreSQL's; calls are refused until it is");
                }
                loaded.say_what_is_unusable(Some(&snapshot.load()));
                snapshot.store(Arc::new(loaded));
                renewed.notify_waiters();
                away = false;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the database does not answer".to_owned(),
        };
        if !away {
            tracing::warn!(problem, "the catalog could not be read; in a few seconds calls will be refused");
            away = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::meters::tests::model;

    #[test]
    fn what_is_counted_of_a_model_goes_on_from_snapshot_to_snapshot() {
        let (acme, other) = (model("acme"), model("other"));
        let meters = Meters::of(&acme);
        let target = Arc::new(Target::of("https://api.example.com/v1", None));
        let route = Route { model: acme.clone(), target, health: Health::of("acme"), meters: Arc::clone(&meters) };
        let entry = Entry { model: acme.clone(), routes: vec![Arc::new(route)], sale: Vec::new(), own: HashMap::new() };
        let models = HashMap::from([(acme.name.clone(), Arc::new(entry))]);
        let before = Snapshot { models, read: Instant::now(), skew: TimeDelta::zero(), healths: HashMap::new(), unusable: BTreeMap::new() };
        assert!(before.meters_of(&acme).is_some_and(|found| Arc::ptr_eq(&found, &meters)));
        // Calls that another provider answers are counted as that one's.
        assert!(before.meters_of(&other).is_none());
    }

    #[test]
    fn a_clock_is_off_only_as_far_as_the_wait_for_the_other_does_not_explain() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        for (theirs, off) in [(10, 0), (13, 0), (15, 0), (18, 3), (7, 3)] {
            assert_eq!(skew(at(10), at(theirs), at(15)), TimeDelta::seconds(off), "at {theirs}");
        }
    }
}
