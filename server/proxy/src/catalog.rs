//! What can be called: a snapshot of the ledger's catalog, made anew every second and read without a lock.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{DisconnectPolicy, Model, OutputCapField, PriceVersion, Provider, UsageMode},
    id::ProviderId,
};
use http::{HeaderValue, Uri};
use ledger::{Meter, NewPrice, secrets::SecretKey};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::upstream::is_private_literal;

const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// The snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) models: HashMap<String, Arc<Entry>>,
    read: Instant,
}

/// A model, where it is answered and what it costs.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) model: Model,
    /// `None` where the provider's address cannot be used; the log says why.
    pub(crate) target: Option<Arc<Target>>,
    /// In force and scheduled, oldest first.
    sale: Vec<Arc<PriceVersion>>,
}

/// An upstream, ready to be called.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) chat_completions: Uri,
    /// Marked sensitive, so that it cannot be printed.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) usage_mode: UsageMode,
    pub(crate) on_disconnect: DisconnectPolicy,
    pub(crate) allow_private: bool,
}

impl Entry {
    /// The price of a call that is admitted at this instant.
    pub(crate) fn price_at(&self, now: DateTime<Utc>) -> Option<&Arc<PriceVersion>> {
        self.sale.iter().rev().find(|version| version.effective_from <= now)
    }

    /// Models that insist on `max_completion_tokens` are OpenAI's reasoning models: most of their output may never be seen.
    pub(crate) fn reasons(&self) -> bool {
        self.model.output_cap_field == OutputCapField::MaxCompletionTokens
    }
}

impl Snapshot {
    /// Reads the catalog, with the prices of calls that arrived up to `arrivals` ago: a call is priced as of its arrival, and its body may have
    /// taken its time.
    pub(crate) async fn load(meter: &Meter, secret: &SecretKey, arrivals: Duration) -> ledger::Result<Self> {
        let read = Instant::now();
        let since = Utc::now() - TimeDelta::from_std(arrivals).unwrap_or_default();
        let catalog = meter.catalog(secret, since).await?;
        let targets: HashMap<ProviderId, Option<Arc<Target>>> =
            catalog.providers.into_iter().map(|(id, upstream)| (id, usable(&upstream.provider, upstream.credential.as_deref()))).collect();
        let models = catalog.models.into_iter().map(|(name, found)| {
            let target = targets.get(&found.model.provider_id).cloned().flatten();
            let sale = found.sale.into_iter().map(Arc::new).collect();
            (name, Arc::new(Entry { model: found.model, target, sale }))
        });
        Ok(Self { models: models.collect(), read })
    }

    /// Whether it may lack a price that is in force.
    pub(crate) fn is_stale(&self) -> bool {
        TimeDelta::from_std(self.read.elapsed()).map_or(true, |age| age > NewPrice::LEAD_MIN)
    }
}

/// Keeps the snapshot new until it is told to stop. While the ledger is away the last one stays, until it is stale.
pub(crate) async fn refresh(
    snapshot: Arc<ArcSwap<Snapshot>>,
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
        match Snapshot::load(&meter, &secret, arrivals).await {
            Ok(loaded) => {
                snapshot.store(Arc::new(loaded));
                away = false;
            }
            Err(error) if !away => {
                tracing::warn!(%error, "the catalog could not be read; in a few seconds calls will be refused");
                away = true;
            }
            Err(_) => {}
        }
    }
}

fn usable(provider: &Provider, credential: Option<&str>) -> Option<Arc<Target>> {
    let target = target(provider, credential);
    target.inspect_err(|why| tracing::error!(provider = provider.name, why, "this provider cannot be called")).ok().map(Arc::new)
}

/// Whether calls to a provider can be made, and what stands in their way.
///
/// # Errors
/// The reason, to be read after "the provider cannot be called: ".
pub fn check_provider(base_url: &str, credential: Option<&str>, allow_private: bool) -> Result<(), &'static str> {
    address(base_url, allow_private)?;
    credential.map_or(Ok(()), |credential| bearer(credential).map(drop))
}

fn target(provider: &Provider, credential: Option<&str>) -> Result<Target, &'static str> {
    Ok(Target {
        chat_completions: address(&provider.base_url, provider.allow_private)?,
        authorization: credential.map(bearer).transpose()?,
        usage_mode: provider.usage_mode,
        on_disconnect: provider.on_disconnect,
        allow_private: provider.allow_private,
    })
}

fn address(base_url: &str, allow_private: bool) -> Result<Uri, &'static str> {
    let uri: Uri = format!("{}/chat/completions", base_url.trim_end_matches('/')).parse().map_err(|_| "its address is no URL")?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().filter(|_| is_web).ok_or("its address is no http or https URL")?;
    if !allow_private && is_private_literal(host) {
        return Err("its address is private, and no operator vouched for it");
    }
    Ok(uri)
}

fn bearer(credential: &str) -> Result<HeaderValue, &'static str> {
    let mut value =
        HeaderValue::try_from(format!("Bearer {credential}")).map_err(|_| "its credential holds characters that fit into no header")?;
    value.set_sensitive(true);
    Ok(value)
}
