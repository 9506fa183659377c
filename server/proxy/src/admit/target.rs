//! A provider, ready to be called: its addresses, its credential as each API takes it, and how it wants to be called.

use std::time::Duration;

use domain::catalog::{DisconnectPolicy, Provider, TimeOuts, UsageMode};
use http::{HeaderName, HeaderValue, Uri, header};

use crate::{
    dialect::{Credential, DIALECTS, Dialect},
    upstream::address::is_private_literal,
};

/// An upstream, ready to be called.
#[derive(Debug)]
pub(crate) struct Target {
    /// By the [`Dialect::index`].
    addresses: Vec<Uri>,
    credential: Option<Credentials>,
    pub(crate) usage_mode: UsageMode,
    pub(crate) on_disconnect: DisconnectPolicy,
    pub(crate) allow_private: bool,
    pub(crate) hide_cost: bool,
    /// Whether it speaks an API, by the [`Dialect::index`].
    speaks: [bool; DIALECTS.len()],
    pub(crate) time_outs: Waits,
}

/// How long a provider may take, where it is not as long as any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waits {
    pub(crate) connect: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Option<Duration>,
}

impl From<TimeOuts> for Waits {
    fn from(TimeOuts { connect_ms, first_byte_ms, idle_ms }: TimeOuts) -> Self {
        let [connect, first_byte, idle] =
            [connect_ms, first_byte_ms, idle_ms].map(|millis| u64::try_from(millis?).ok().map(Duration::from_millis));
        Self { connect, first_byte, idle }
    }
}

/// The operator's credential as each API takes it, marked sensitive, so that it cannot be printed.
#[derive(Debug)]
struct Credentials {
    bearer: HeaderValue,
    plain: HeaderValue,
}

impl Target {
    #[cfg(test)]
    pub(crate) fn of(base_url: &str, credential: Option<&str>) -> Self {
        Self {
            addresses: addresses(base_url, true).unwrap_or_default(),
            credential: credential.and_then(|credential| credentials(credential).ok()),
            usage_mode: UsageMode::Forced,
            on_disconnect: DisconnectPolicy::Drain,
            allow_private: true,
            hide_cost: false,
            speaks: [true; DIALECTS.len()],
            time_outs: Waits::default(),
        }
    }

    /// Whether calls of this API can go there.
    pub(crate) fn speaks(&self, dialect: &Dialect) -> bool {
        self.speaks[dialect.index]
    }

    /// Where calls of this API go.
    pub(crate) fn address(&self, dialect: &Dialect) -> Uri {
        self.addresses[dialect.index].clone()
    }

    /// What opens it, if anything must.
    pub(crate) fn credential(&self, dialect: &Dialect) -> Option<(HeaderName, HeaderValue)> {
        let Credentials { bearer, plain } = self.credential.as_ref()?;
        Some(match dialect.credential {
            Credential::Bearer => (header::AUTHORIZATION, bearer.clone()),
            Credential::ApiKey => (HeaderName::from_static("x-api-key"), plain.clone()),
        })
    }
}

/// Whether calls to a provider can be made, and what stands in their way.
///
/// # Errors
/// The reason, to be read after "the provider cannot be called: ".
pub fn check_provider(base_url: &str, credential: Option<&str>, allow_private: bool) -> Result<(), &'static str> {
    addresses(base_url, allow_private)?;
    credential.map_or(Ok(()), |credential| credentials(credential).map(drop))
}

/// The provider as it is called.
///
/// # Errors
/// As [`check_provider`].
pub(super) fn target(provider: &Provider, credential: Option<&str>) -> Result<Target, &'static str> {
    Ok(Target {
        addresses: addresses(&provider.base_url, provider.allow_private)?,
        credential: credential.map(credentials).transpose()?,
        usage_mode: provider.usage_mode,
        on_disconnect: provider.on_disconnect,
        allow_private: provider.allow_private,
        hide_cost: provider.hide_cost,
        speaks: DIALECTS.map(|dialect| provider.speaks(dialect.api)),
        time_outs: provider.time_outs.into(),
    })
}

fn addresses(base_url: &str, allow_private: bool) -> Result<Vec<Uri>, &'static str> {
    let address = |dialect: &Dialect| -> Result<Uri, &'static str> {
        format!("{}{}", base_url.trim_end_matches('/'), dialect.upstream_path).parse().map_err(|_| "its address is no URL")
    };
    let [first, ..] = DIALECTS;
    let uri = address(first)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().filter(|_| is_web).ok_or("its address is no http or https URL")?;
    if !allow_private && is_private_literal(host) {
        return Err("its address is private, and no operator vouched for it");
    }
    DIALECTS.into_iter().map(address).collect()
}

fn credentials(credential: &str) -> Result<Credentials, &'static str> {
    let value = |text: String| -> Result<HeaderValue, &'static str> {
        let mut value = HeaderValue::try_from(text).map_err(|_| "its credential holds characters that fit into no header")?;
        value.set_sensitive(true);
        Ok(value)
    };
    Ok(Credentials { bearer: value(format!("Bearer {credential}"))?, plain: value(credential.to_owned())? })
}
