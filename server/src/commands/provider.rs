//! `farebox provider`: the upstreams that answer calls.

mod change;
mod options;

use anyhow::{Context, anyhow};
use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use domain::{
    catalog::{DisconnectPolicy, Provider, TimeOuts, UsageMode},
    id::ProviderId,
};
use ledger::NewProvider;
use serde::Serialize;
use serde_json::json;

use self::options::{Spoken, TimeOutArgs, apis, in_words};
use super::{
    members::{self, Members},
    secret, table,
    upstream::{BaseUrl, Credential},
};
use crate::{cli::Output, config::Config, database::with_ledger};

/// The upstreams that answer calls.
#[derive(Debug, Args)]
pub(crate) struct ProviderArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add an upstream; its credential is asked for, or read from stdin
    Add(Add),
    /// List the upstreams
    List,
    /// Change how an upstream is called
    Edit(change::Edit),
    /// Replace an upstream's credential; the new one is asked for, or read from stdin
    Credential(change::Renew),
    /// Let members of requests pass to an upstream, whichever of its models is called, as `farebox model allow` does for one
    Allow(Members),
    /// Refuse them again, where no model allows them itself
    Refuse(Members),
    /// Stop calls to an upstream's models, as if they did not exist, but for those that another answers as a fall-back
    Disable(change::Named),
    /// Let them go on
    Enable(change::Named),
    /// Remove an upstream that answers no model any more, with its credential
    Remove(change::Named),
}

#[derive(Debug, Args)]
struct Add {
    /// What to call it
    name: String,

    /// Its address up to and including the version segment, like https://api.openai.com/v1
    #[arg(long, env = "FAREBOX_PROVIDER_BASE_URL", value_name = "URL")]
    base_url: BaseUrl,

    /// Environment variable that holds its credential, instead of asking; it is stored encrypted
    #[arg(long, env = "FAREBOX_PROVIDER_CREDENTIAL_ENV", value_name = "VARIABLE")]
    credential_env: Option<String>,

    /// Whether streams report usage only when asked, or by themselves
    #[arg(long, env = "FAREBOX_PROVIDER_USAGE_MODE", value_name = "MODE", default_value = "forced")]
    usage_mode: Usage,

    /// What happens to the upstream when the client leaves
    #[arg(long, env = "FAREBOX_PROVIDER_ON_DISCONNECT", value_name = "POLICY", default_value = "drain")]
    on_disconnect: OnDisconnect,

    /// Let the address be on a private network or this machine
    #[arg(long, env = "FAREBOX_PROVIDER_ALLOW_PRIVATE", value_parser = FalseyValueParser::new())]
    allow_private: bool,

    /// Keep customers from reading what it says of its own cost in answers, which is what it charges you
    #[arg(long, env = "FAREBOX_PROVIDER_HIDE_COST", value_parser = FalseyValueParser::new())]
    hide_cost: bool,

    /// The APIs that it speaks; a call in another goes to another provider of its model, or is refused
    #[arg(long, env = "FAREBOX_PROVIDER_SPEAKS", value_name = "API", value_delimiter = ',', default_value = "all")]
    speaks: Vec<Spoken>,

    #[command(flatten)]
    time_outs: TimeOutArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Usage {
    /// Ask each stream for its usage, and take the answer out again where the client did not ask
    Forced,
    /// The upstream reports unasked, or refuses to be asked
    Native,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnDisconnect {
    /// Read on to the upstream's usage and bill that
    Drain,
    /// Hang up as well, and bill an estimate of what was delivered; models with `--output-cap-field max_completion_tokens` reason unseen, and are read on
    Cancel,
}

impl From<Usage> for UsageMode {
    fn from(usage: Usage) -> Self {
        match usage {
            Usage::Forced => Self::Forced,
            Usage::Native => Self::Native,
        }
    }
}

impl From<OnDisconnect> for DisconnectPolicy {
    fn from(policy: OnDisconnect) -> Self {
        match policy {
            OnDisconnect::Drain => Self::Drain,
            OnDisconnect::Cancel => Self::Cancel,
        }
    }
}

/// Does what was asked for.
pub(super) async fn run(args: ProviderArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Add(add) => self::add(add, args.output, config).await,
        Action::List => list(args.output, config).await,
        Action::Edit(edit) => change::edit(edit, args.output, config).await,
        Action::Credential(renew) => change::renew(renew, args.output, config).await,
        Action::Allow(Members { name, members }) => open(&name, &members, &[], args.output, config).await,
        Action::Refuse(Members { name, members }) => open(&name, &[], &members, args.output, config).await,
        Action::Disable(named) => change::set_enabled(named, false, args.output, config).await,
        Action::Enable(named) => change::set_enabled(named, true, args.output, config).await,
        Action::Remove(named) => change::remove(named, args.output, config).await,
    }
}

async fn add(mut args: Add, output: Output, config: &Config) -> anyhow::Result<()> {
    // The credential is sealed under the name as it is stored.
    args.name = args.name.trim().to_owned();
    let credential = read_credential(args.credential_env.as_deref(), &format!("Credential of {} (empty for none)", args.name))?;
    let credential = credential.as_ref().map(Credential::expose);
    let vouch = if args.allow_private { "" } else { " (--allow-private vouches for a private address)" };
    proxy::check_provider(args.base_url.as_str(), credential, args.allow_private)
        .map_err(|why| anyhow!("the provider cannot be called: {why}{vouch}"))?;
    let sealed =
        credential.map(|credential| config.secret_key()?.seal(credential, &args.name, rand::random()).map_err(anyhow::Error::from));
    let sealed = sealed.transpose()?;
    let (now, apis) = (Utc::now(), apis(&args.speaks));
    let new = NewProvider {
        id: ProviderId::new(now, rand::random()),
        name: &args.name,
        base_url: args.base_url.as_str(),
        credential: sealed,
        usage_mode: args.usage_mode.into(),
        on_disconnect: args.on_disconnect.into(),
        allow_private: args.allow_private,
        hide_cost: args.hide_cost,
        apis: Some(&*apis).filter(|apis| !apis.is_empty()),
        time_outs: args.time_outs.into(),
        now,
    };
    let (id, has_credential) = (new.id, new.credential.is_some());
    with_ledger(config, async |ledger| Ok(ledger.system().add_provider(new).await?)).await?;
    output.print(&json!({ "id": id, "name": args.name, "base_url": args.base_url.as_str(), "has_credential": has_credential }), || {
        let credential = if has_credential { "with a credential" } else { "without a credential" };
        format!("Added {} {credential}. Its models: farebox model add NAME --provider {}", args.name, args.name)
    })
}

async fn open(provider: &str, opened: &[String], closed: &[String], output: Output, config: &Config) -> anyhow::Result<()> {
    let now = with_ledger(config, async |ledger| {
        ledger.system().open_members_of_provider(provider, opened, closed).await.with_context(|| format!("provider {provider}"))
    })
    .await?;
    members::print(provider, &now, output)
}

/// `None` where nothing was typed: some upstreams ask for none.
fn read_credential(variable: Option<&str>, prompt: &str) -> anyhow::Result<Option<Credential>> {
    let typed = secret::read(variable, prompt)?;
    if typed.expose().is_empty() {
        return Ok(None);
    }
    typed.expose().parse().map(Some).map_err(|why: &str| anyhow!("the credential {why}"))
}

async fn list(output: Output, config: &Config) -> anyhow::Result<()> {
    let (providers, disabled) = with_ledger(config, async |ledger| {
        let system = ledger.system();
        Ok((system.providers().await?, system.disabled().await?.providers))
    })
    .await?;
    let listed: Vec<_> = providers
        .into_iter()
        .map(|provider| {
            let enabled = !disabled.contains(&provider.name);
            Listed { provider, enabled }
        })
        .collect();
    output.print(&listed, || {
        let rows = listed.iter().map(|Listed { provider, enabled }| {
            let credential = if provider.has_credential { "stored" } else { "none" };
            let status = if *enabled { "enabled" } else { "disabled" };
            let speaks = provider
                .apis
                .as_ref()
                .map_or_else(|| "all".to_owned(), |apis| apis.iter().map(|api| api.name()).collect::<Vec<_>>().join(", "));
            let TimeOuts { connect_ms, first_byte_ms, idle_ms } = provider.time_outs;
            let [connect, first_byte, idle] =
                [connect_ms, first_byte_ms, idle_ms].map(|millis| millis.map_or_else(|| "default".to_owned(), in_words));
            let (base_url, allows) = (provider.base_url.clone(), provider.opened.join(", "));
            let cost = if provider.hide_cost { "hidden" } else { "shown" }.to_owned();
            [provider.name.clone(), base_url, credential.to_owned(), speaks, allows, cost, connect, first_byte, idle, status.to_owned()]
        });
        table(["NAME", "BASE URL", "CREDENTIAL", "SPEAKS", "ALLOWS", "COST", "CONNECT", "FIRST BYTE", "IDLE", "STATUS"], rows)
    })
}

/// A provider, and whether its models are called.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    provider: Provider,
    enabled: bool,
}
