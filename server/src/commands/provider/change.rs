//! What is changed of an upstream that is there. Proxies that run take it up within a second.

use anyhow::{Context, anyhow};
use chrono::Utc;
use clap::{ArgGroup, Args, builder::BoolishValueParser};
use ledger::ProviderChange;
use serde_json::json;

use super::{OnDisconnect, Spoken, TimeOutArgs, Usage, apis, read_credential};
use crate::{
    cli::Output,
    commands::{
        upstream::{BaseUrl, Credential},
        without_empty_variable,
    },
    config::Config,
    database::with_ledger,
};

/// The options of an edit, one of which must be there.
const CHANGES: [&str; 9] = [
    "base_url",
    "usage_mode",
    "on_disconnect",
    "allow_private",
    "hide_cost",
    "speaks",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
];

/// What changes; the name does not, since calls are in the books under it.
#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(CHANGES))]
#[group(skip)]
pub(super) struct Edit {
    /// Which one
    name: String,

    /// Its address up to and including the version segment, like https://api.openai.com/v1
    #[arg(long, env = "FAREBOX_PROVIDER_EDIT_BASE_URL", value_name = "URL")]
    base_url: Option<BaseUrl>,

    /// Whether streams report usage only when asked, or by themselves
    #[arg(long, env = "FAREBOX_PROVIDER_EDIT_USAGE_MODE", value_name = "MODE")]
    usage_mode: Option<Usage>,

    /// What happens to the upstream when the client leaves
    #[arg(long, env = "FAREBOX_PROVIDER_EDIT_ON_DISCONNECT", value_name = "POLICY")]
    on_disconnect: Option<OnDisconnect>,

    /// Whether the address may be on a private network or this machine
    #[arg(long, env = "FAREBOX_PROVIDER_EDIT_ALLOW_PRIVATE", value_name = "YES/NO", value_parser = BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "yes")]
    allow_private: Option<bool>,

    /// Whether customers are kept from reading what it says of its own cost in answers, which is what it charges you
    #[arg(long, env = "FAREBOX_PROVIDER_EDIT_HIDE_COST", value_name = "YES/NO", value_parser = BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "yes")]
    hide_cost: Option<bool>,

    /// The APIs that it speaks
    #[arg(long, env = "FAREBOX_PROVIDER_EDIT_SPEAKS", value_name = "API", value_delimiter = ',')]
    speaks: Option<Vec<Spoken>>,

    #[command(flatten)]
    time_outs: TimeOutArgs,
}

/// A new credential.
#[derive(Debug, Args)]
pub(super) struct Renew {
    /// Which one
    name: String,

    /// Environment variable that holds its credential, instead of asking; it is stored encrypted
    #[arg(long, env = "FAREBOX_PROVIDER_CREDENTIAL_ENV", value_name = "VARIABLE")]
    credential_env: Option<String>,
}

/// A provider that is meant by its name alone.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Which one
    name: String,
}

/// Changes how it is called.
pub(super) async fn edit(args: Edit, output: Output, config: &Config) -> anyhow::Result<()> {
    let Edit { name, base_url, usage_mode, on_disconnect, allow_private, hide_cost, speaks, time_outs } = args;
    let apis = speaks.map(|spoken| apis(&spoken));
    with_ledger(config, async |ledger| {
        let system = ledger.system();
        let provider = system.providers().await?.into_iter().find(|provider| provider.name == name);
        let provider = provider.ok_or(ledger::Error::NotFound).with_context(|| format!("provider {name}"))?;
        let address = base_url.as_ref().map_or(provider.base_url.as_str(), BaseUrl::as_str);
        proxy::check_provider(address, None, allow_private.unwrap_or(provider.allow_private))
            .map_err(|why| anyhow!("the provider could not be called: {why} (--allow-private vouches for a private address)"))?;
        let change = ProviderChange {
            base_url: base_url.as_ref().map(BaseUrl::as_str),
            usage_mode: usage_mode.map(Into::into),
            on_disconnect: on_disconnect.map(Into::into),
            allow_private,
            hide_cost,
            apis: apis.as_deref(),
            time_outs: time_outs.into(),
        };
        Ok(system.change_provider(&name, change).await?)
    })
    .await?;
    output.print(&json!({ "name": name, "changed": true }), || format!("Changed {name}: proxies call it so within a second."))
}

/// Replaces its credential.
pub(super) async fn renew(args: Renew, output: Output, config: &Config) -> anyhow::Result<()> {
    let Renew { name, credential_env } = args;
    let credential = read_credential(credential_env.as_deref(), &format!("New credential of {name} (empty for none)"))?;
    let seal = |credential: &Credential| config.secret_key()?.seal(credential.expose(), &name, rand::random()).map_err(anyhow::Error::from);
    let sealed = credential.as_ref().map(seal).transpose()?;
    let has_credential = sealed.is_some();
    with_ledger(config, async |ledger| ledger.system().set_credential(&name, sealed).await.with_context(|| format!("provider {name}")))
        .await?;
    output.print(&json!({ "name": name, "has_credential": has_credential }), || {
        let what = if has_credential { "has a new credential" } else { "has no credential any more" };
        format!("{name} {what}: proxies use it within a second.")
    })
}

/// Stops calls to it, or lets them go on.
pub(super) async fn set_enabled(args: Named, enabled: bool, output: Output, config: &Config) -> anyhow::Result<()> {
    let Named { name } = args;
    let since = (!enabled).then(Utc::now);
    with_ledger(config, async |ledger| ledger.system().disable_provider(&name, since).await.with_context(|| format!("provider {name}")))
        .await?;
    output.print(&json!({ "name": name, "enabled": enabled }), || {
        let what = if enabled {
            "are called there again"
        } else {
            "are not called there any more, those that have no fall-back not at all; calls that run go on"
        };
        format!("The models of {name} {what}.")
    })
}

/// Removes one that answers no model.
pub(super) async fn remove(args: Named, output: Output, config: &Config) -> anyhow::Result<()> {
    let Named { name } = args;
    with_ledger(config, async |ledger| ledger.system().remove_provider(&name).await.with_context(|| format!("provider {name}"))).await?;
    output.print(&json!({ "name": name, "removed": true }), || format!("Removed {name} and its credential. Its calls stay in the books."))
}
