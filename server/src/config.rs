//! What the place arguments mean, with secrets read from their files.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use app::server::{Stripe, StripeSettings};
use ledger::secrets::{KEY_BYTES, SecretKey};

use crate::{
    cli::{Command, PaymentArgs, PlaceArgs, SecretText},
    files,
};

/// How long Stripe may take for one answer, while somebody waits for a page of it.
const STRIPE_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Where this process keeps and finds things.
#[derive(Debug)]
pub(crate) struct Config {
    /// Absolute. Made, and owned by whoever this process becomes, before anything is written to it.
    pub(crate) data_dir: PathBuf,
    /// Somebody else's database; `None` for the embedded one.
    pub(crate) database_url: Option<SecretText>,
    /// How the application logs in there, where an administrator made its role.
    pub(crate) app_database_url: Option<SecretText>,
    secret_key: Option<SecretKey>,
    /// Who takes payments.
    pub(crate) stripe: Option<Stripe>,
}

impl Config {
    /// Reads the secrets and makes the data folder's path absolute. Files that only root can read are read here, before root is given up.
    pub(crate) fn load(args: &PlaceArgs, command: &Command) -> anyhow::Result<Self> {
        let is_demo = command.is_demo();
        let secret_key = secret(args.secret_key.as_ref(), args.secret_key_file.as_deref())?;
        Ok(Self {
            data_dir: std::path::absolute(args.data_dir.clone().unwrap_or_else(|| default_data_dir(is_demo)))?,
            database_url: secret(args.database_url.as_ref(), args.database_url_file.as_deref())?,
            app_database_url: secret(args.app_database_url.as_ref(), args.app_database_url_file.as_deref())?,
            secret_key: secret_key.map(|text| SecretKey::from_hex(text.expose())).transpose()?,
            stripe: command.payments().map(|payments| stripe(payments, is_demo)).transpose()?.flatten(),
        })
    }

    /// The folder of the proxy's spool: the one that was named, else the data folder's own.
    pub(crate) fn spool_dir(&self, named: Option<&Path>) -> PathBuf {
        named.map_or_else(|| self.data_dir.join("spool"), Path::to_owned)
    }

    /// The key that encrypts credentials: the one that was given, else the data folder's own, which is made once.
    pub(crate) fn secret_key(&self) -> anyhow::Result<SecretKey> {
        if let Some(key) = &self.secret_key {
            return Ok(key.clone());
        }
        let path = self.data_dir.join("secret.key");
        let text =
            files::read_or_write_once(&path, || hex(&rand::random::<[u8; KEY_BYTES]>())).with_context(|| path.display().to_string())?;
        SecretKey::from_hex(&text).with_context(|| path.display().to_string())
    }
}

/// The folder that is used when none is named. A demonstration has one of its own, so that looking around is never in the way of the real thing.
pub(crate) fn default_data_dir(is_demo: bool) -> PathBuf {
    let parent = if nix::unistd::geteuid().is_root() {
        PathBuf::from("/var/lib")
    } else {
        std::env::home_dir().unwrap_or_default().join(".local/share")
    };
    parent.join(if is_demo { "farebox-demo" } else { "farebox" })
}

/// Stripe, if it is to take payments. A secret that is there and says nothing is a mistake: whoever set it up so would wait for money in vain.
fn stripe(args: &PaymentArgs, is_demo: bool) -> anyhow::Result<Option<Stripe>> {
    let key = given(args.stripe_secret_key.as_ref(), args.stripe_secret_key_file.as_deref())?;
    let webhook = given(args.stripe_webhook_secret.as_ref(), args.stripe_webhook_secret_file.as_deref())?;
    let (key, webhook) = match (key, webhook) {
        (None, None) => return Ok(None),
        (Some(key), Some(webhook)) => (key, webhook),
        (Some(_), None) => {
            bail!("Stripe has a secret key and no webhook secret, so that nobody would hear of a payment: set --stripe-webhook-secret")
        }
        (None, Some(_)) => bail!("Stripe has a webhook secret and no secret key: set --stripe-secret-key"),
    };
    for (secret, name) in [(&key, "secret key"), (&webhook, "webhook secret")] {
        ensure!(!secret.expose().trim().is_empty(), "Stripe's {name} is empty: set it, or leave its option, variable and file out");
    }
    let stripe = Stripe::new(StripeSettings {
        secret_key: key.expose().trim().to_owned(),
        webhook_secrets: webhook
            .expose()
            .split([',', '\n'])
            .map(str::trim)
            .filter(|secret| !secret.is_empty())
            .map(str::to_owned)
            .collect(),
        api_base: args.stripe_api_base.clone(),
        smallest: args.smallest_top_up,
        largest: args.largest_top_up,
        answer_within: STRIPE_ANSWERS_WITHIN,
    })
    .map_err(anyhow::Error::msg)?;
    ensure!(!is_demo || stripe.is_test(), "a demonstration takes no real money: use one of Stripe's test keys, sk_test_…");
    Ok(Some(stripe))
}

/// A secret that is given itself or in a file, be it empty.
fn given(text: Option<&SecretText>, file: Option<&Path>) -> anyhow::Result<Option<SecretText>> {
    Ok(match (text, file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => Some(SecretText::new(&fs::read_to_string(file).with_context(|| file.display().to_string())?)),
        (None, None) => None,
    })
}

/// The same; an empty variable is none.
fn secret(text: Option<&SecretText>, file: Option<&Path>) -> anyhow::Result<Option<SecretText>> {
    Ok(given(text, file)?.filter(|secret| !secret.expose().is_empty()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
