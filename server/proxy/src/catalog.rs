//! What can be called: a snapshot of the ledger's catalog, made anew every second and read without a lock.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use domain::{
    catalog::{DisconnectPolicy, Model, OutputCapField, PriceVersion, Provider, UsageMode},
    id::ProviderId,
};
use http::{HeaderValue, Uri};
use ledger::{Meter, secrets::SecretKey};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::upstream::is_private_literal;

const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// The snapshot.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) models: HashMap<String, Arc<Entry>>,
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
    /// Reads the catalog.
    pub(crate) async fn load(meter: &Meter, secret: &SecretKey, now: DateTime<Utc>) -> ledger::Result<Self> {
        let catalog = meter.catalog(secret, now).await?;
        let targets: HashMap<ProviderId, Option<Arc<Target>>> = catalog
            .providers
            .into_iter()
            .map(|(id, upstream)| (id, target(&upstream.provider, upstream.credential.as_deref()).map(Arc::new)))
            .collect();
        let models = catalog.models.into_iter().map(|(name, found)| {
            let target = targets.get(&found.model.provider_id).cloned().flatten();
            let sale = found.sale.into_iter().map(Arc::new).collect();
            (name, Arc::new(Entry { model: found.model, target, sale }))
        });
        Ok(Self { models: models.collect() })
    }
}

/// Keeps the snapshot new until it is told to stop. While the ledger is away the last one stays: nothing is admitted without a lease anyway.
pub(crate) async fn refresh(snapshot: Arc<ArcSwap<Snapshot>>, meter: Meter, secret: SecretKey, quit: CancellationToken) {
    let mut ticks = tokio::time::interval(REFRESH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        tokio::select! {
            () = quit.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match Snapshot::load(&meter, &secret, Utc::now()).await {
            Ok(loaded) => {
                snapshot.store(Arc::new(loaded));
                away = false;
            }
            Err(error) if !away => {
                tracing::warn!(%error, "the catalog could not be read; the last one stays in force");
                away = true;
            }
            Err(_) => {}
        }
    }
}

fn target(provider: &Provider, credential: Option<&str>) -> Option<Target> {
    let refused = |why: &str| {
        tracing::error!(provider = provider.name, why, "this provider cannot be called");
        None
    };
    let Ok(chat_completions) = format!("{}/chat/completions", provider.base_url.trim_end_matches('/')).parse::<Uri>() else {
        return refused("its address is no URL");
    };
    let Some(host) = chat_completions.host().filter(|_| matches!(chat_completions.scheme_str(), Some("http" | "https"))) else {
        return refused("its address is no http or https URL");
    };
    if !provider.allow_private && is_private_literal(host) {
        return refused("its address is private, and no operator vouched for it");
    }
    let authorization = credential.map(|credential| HeaderValue::try_from(format!("Bearer {credential}")));
    let Ok(mut authorization) = authorization.transpose() else { return refused("its credential does not fit into a header") };
    if let Some(value) = &mut authorization {
        value.set_sensitive(true);
    }
    Some(Target {
        chat_completions,
        authorization,
        usage_mode: provider.usage_mode,
        on_disconnect: provider.on_disconnect,
        allow_private: provider.allow_private,
    })
}
