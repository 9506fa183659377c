//! How a server runs.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, ValueEnum, builder::FalseyValueParser};
use domain::money::Amount;
use proxy::AllowedOrigin;

use super::{ByteCount, PaymentArgs, PublicUrl, sales_contact::SalesContact};

/// How a server runs.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Run only one of the two
    #[arg(long, env = "FAREBOX_ONLY", value_name = "PART")]
    pub(crate) only: Option<Part>,

    /// Bring an upstream, customers and 90 days of history along, to look around without a provider; refuses real data
    #[arg(long, env = "FAREBOX_DEMO", value_parser = FalseyValueParser::new())]
    pub(crate) demo: bool,

    /// Address the console listens on
    #[arg(long, env = "FAREBOX_CONSOLE_ADDR", value_name = "IP:PORT", default_value = "127.0.0.1:3000")]
    pub(crate) console_addr: SocketAddr,

    /// Address the proxy listens on
    #[arg(long, env = "FAREBOX_PROXY_ADDR", value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) proxy_addr: SocketAddr,

    /// Address that answers GET /metrics in Prometheus' format; keep it to yourself [default: nothing is recorded]
    #[arg(long, env = "FAREBOX_METRICS_ADDR", value_name = "IP:PORT")]
    pub(crate) metrics_addr: Option<SocketAddr>,

    /// Address by which people reach the console [default: the address it listens on]
    #[arg(long, env = "FAREBOX_CONSOLE_URL", value_name = "URL")]
    pub(crate) console_url: Option<PublicUrl>,

    /// Address by which clients reach the proxy, without /v1 [default: the address it listens on]
    #[arg(long, env = "FAREBOX_PROXY_URL", value_name = "URL")]
    pub(crate) proxy_url: Option<PublicUrl>,

    /// Origins whose web pages may call the proxy from a browser, such as https://app.example.com, or * for all [default: none]
    #[arg(long, env = "FAREBOX_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) allowed_origins: Vec<AllowedOrigin>,

    /// Whether anyone may sign up as a customer
    #[arg(long, env = "FAREBOX_SIGNUP", value_name = "WHO", default_value = "open")]
    pub(crate) signup: SignUp,

    /// Addresses of reverse proxies before the console or the proxy, whose X-Forwarded-For is believed when sign-ins are throttled, in the audit log, and
    /// when the calls of one address are counted
    #[arg(long, env = "FAREBOX_TRUSTED_PROXIES", value_name = "IP", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<IpAddr>,

    /// Connections to the proxy that one address may have at once, or one /64 of IPv6; behind a trusted proxy, calls at once [default: half of all, which are
    /// 10000 where the limit of open files allows so many]
    #[arg(long, env = "FAREBOX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections_per_address: Option<u32>,

    /// Where customers ask for more than is offered, on the pricing page: an e-mail address, or the address of a web page [default: nobody is named]
    #[arg(long, env = "FAREBOX_SALES_CONTACT", value_name = "ADDRESS")]
    pub(crate) sales_contact: Option<SalesContact>,

    /// The most that an operator gives, takes back or refunds in the console without typing the customer's name, in the currency's units
    #[arg(long, env = "FAREBOX_POSTING_LIMIT", value_name = "AMOUNT", default_value = "10000")]
    pub(crate) posting_limit: Amount,

    #[command(flatten)]
    pub(crate) payments: PaymentArgs,

    /// Folder for the proxy's spool: every call, before it is forwarded and before its client sees the end [default: spool in the data folder]
    #[arg(long, env = "FAREBOX_SPOOL_DIR", value_name = "FOLDER", value_parser = absolute)]
    pub(crate) spool_dir: Option<PathBuf>,

    /// What the spool survives
    #[arg(long, env = "FAREBOX_SPOOL_SYNC", value_name = "WHAT", default_value = "os")]
    pub(crate) spool_sync: SpoolSync,

    /// The most that the spool may take on disk, such as 20G, at least 32 MiB a core; when it is full, new calls are refused [default: as much as there is]
    #[arg(long, env = "FAREBOX_SPOOL_MAX", value_name = "BYTES")]
    pub(crate) spool_max: Option<ByteCount>,

    /// What becomes of new calls while the database is away: those within the credit that is leased to this proxy go on, for seconds, or all are refused
    #[arg(long, env = "FAREBOX_WHEN_DATABASE_AWAY", value_name = "WHAT", default_value = "go-on")]
    pub(crate) when_database_away: WhenDatabaseAway,

    /// How long running calls may go on when the server is asked to stop; what still runs then is settled as interrupted, and its client told
    #[arg(long, env = "FAREBOX_DRAIN_SECONDS", value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain_seconds: u32,

    /// File to write the addresses to, as JSON, once everything answers
    #[arg(long, env = "FAREBOX_READY_FILE", value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// One of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The web console
    Console,
    /// The metering proxy
    Proxy,
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignUp {
    /// Anyone, with an empty balance
    Open,
    /// Nobody: operators make accounts
    Closed,
}

/// What a call that is in the spool survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpoolSync {
    /// A process that is killed
    Os,
    /// A machine that loses power, too: each call waits for the disk
    Disk,
}

/// What becomes of new calls while the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenDatabaseAway {
    /// Those that have room in what is leased are served
    GoOn,
    /// All are refused
    Refuse,
}

/// A path as it is from here: the process goes to its data folder.
pub(crate) fn absolute(text: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(text)
}
