//! The command line. Every flag has an environment variable, so that a container can be set up without arguments.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::{IntErrorKind, ParseIntError},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use domain::money::Amount;
use proxy::AllowedOrigin;

use crate::commands::{
    account, admin, call, code, config, grant, key, limit, metrics, model, payments, plan, price, prices, project, provider, root, seller,
    spool, status, sums, user, verify,
};

/// Usage metering, billing console and proxy for LLM APIs.
#[derive(Debug, Parser)]
#[command(name = "farebox", version, propagate_version = true, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What farebox can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the console and the metering proxy
    Serve(ServeArgs),
    /// Bring the database to this version's schema
    Migrate(MigrateArgs),
    /// Recompute every figure from the raw rows; exits with 1 and names the rows when any disagrees
    Verify(verify::VerifyArgs),
    /// The sums that the pages read, by hour and by day
    Sums(sums::SumsArgs),
    /// The daily roots, which seal what was posted up to each day
    Root(root::RootArgs),
    /// What a proxy has on its disk of the calls that it admitted
    Spool(spool::SpoolArgs),
    /// How the proxies are: what each said last of itself, and what it has leased
    Status(status::StatusArgs),
    /// What can be watched: every metric, and a dashboard for Grafana
    Metrics(metrics::MetricsArgs),
    /// Print every option, its value and where it comes from; takes the same options as serve
    Config(config::ConfigArgs),
    /// Run the embedded PostgreSQL alone: prints its URL and stays until it is told to stop
    Postgres,
    /// The upstreams that answer calls
    Provider(provider::ProviderArgs),
    /// The models that customers can call
    Model(model::ModelArgs),
    /// What models cost
    Price(price::PriceArgs),
    /// Price lists: those that others publish, and our own, in and out
    Prices(prices::PricesArgs),
    /// The people who run the gateway
    Admin(admin::AdminArgs),
    /// The customers who pay
    Account(account::AccountArgs),
    /// The parts of an account: each has keys and limits of its own
    Project(project::ProjectArgs),
    /// Credit beside the prepaid balance: promotions, allowances, packages
    Grant(grant::GrantArgs),
    /// Redemption codes: credit for whoever has one
    Code(code::CodeArgs),
    /// What customers pay through a provider or by bank transfer, and what somebody must look at of it
    Payments(payments::PaymentsArgs),
    /// Who sells, as receipts, invoices and credit notes name them
    Seller(seller::SellerArgs),
    /// What is sold by the month or once, and who has it
    Plan(plan::PlanArgs),
    /// Bounds on what an account, or a part of it, may use
    Limit(limit::LimitArgs),
    /// Single calls
    Call(call::CallArgs),
    /// API keys
    Key(key::KeyArgs),
    /// The people who sign in
    User(user::UserArgs),
}

impl Command {
    /// Whether it looks after a demonstration.
    pub(crate) fn is_demo(&self) -> bool {
        matches!(self, Self::Serve(args) if args.demo)
    }

    /// How customers pay, where it serves them.
    pub(crate) fn payments(&self) -> Option<&PaymentArgs> {
        match self {
            Self::Serve(args) => Some(&args.payments),
            _ => None,
        }
    }

    /// The file that says when everything answers.
    pub(crate) fn ready_file(&self) -> Option<&Path> {
        match self {
            Self::Serve(args) => args.ready_file.as_deref(),
            _ => None,
        }
    }
}

/// How the database is brought to this version's schema.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) output: Output,

    /// Give the application's role the password that follows from the secret key of today: after that key was changed
    #[arg(long, env = "FAREBOX_RENEW_LOGIN")]
    pub(crate) renew_login: bool,
}

/// Where things are: the same for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where things are")]
pub(crate) struct PlaceArgs {
    /// Folder for what farebox keeps: the embedded database, the secret key, the proxy's own id and its spool [default: ~/.local/share/farebox, as root
    /// /var/lib/farebox; farebox-demo beside it with --demo]
    #[arg(long, env = "FAREBOX_DATA_DIR", global = true, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,

    /// PostgreSQL to use, as the role that owns the schema; without it farebox runs one of its own in the data folder
    #[arg(long, env = "DATABASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<SecretText>,

    /// File that holds the database's URL
    #[arg(long, env = "DATABASE_URL_FILE", global = true, value_name = "FILE", conflicts_with = "database_url")]
    pub(crate) database_url_file: Option<PathBuf>,

    /// The same database as the role that the application works as, where an administrator made that role; without it farebox makes one itself
    #[arg(long, env = "FAREBOX_APP_DATABASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub(crate) app_database_url: Option<SecretText>,

    /// File that holds that URL
    #[arg(long, env = "FAREBOX_APP_DATABASE_URL_FILE", global = true, value_name = "FILE", conflicts_with = "app_database_url")]
    pub(crate) app_database_url_file: Option<PathBuf>,

    /// Key that encrypts providers' credentials, 64 hexadecimal digits; better given as a variable or a file, since others can see a
    /// command line. Without it one is made once, as secret.key in the data folder
    #[arg(long, env = "FAREBOX_SECRET_KEY", global = true, value_name = "HEX", hide_env_values = true)]
    pub(crate) secret_key: Option<SecretText>,

    /// File that holds the secret key
    #[arg(long, env = "FAREBOX_SECRET_KEY_FILE", global = true, value_name = "FILE", conflicts_with = "secret_key")]
    pub(crate) secret_key_file: Option<PathBuf>,

    /// User to become when started as root [default: farebox where it exists, else nobody]
    #[arg(long, env = "FAREBOX_RUN_AS", global = true, value_name = "USER")]
    pub(crate) run_as: Option<String>,

    /// What is logged to stderr: a level, or targets with levels such as `info,proxy=debug`
    #[arg(
        long,
        env = "FAREBOX_LOG",
        global = true,
        value_name = "FILTER",
        default_value = "warn,sqlx=error,farebox=info,proxy=info,ledger=info"
    )]
    pub(crate) log: String,
}

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

/// How customers pay.
#[derive(Debug, Args)]
pub(crate) struct PaymentArgs {
    /// Stripe's secret key: customers then top up on Stripe's page. Better given as a variable or a file [default: an operator credits by hand]
    #[arg(long, env = "FAREBOX_STRIPE_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) stripe_secret_key: Option<SecretText>,

    /// File that holds it
    #[arg(long, env = "FAREBOX_STRIPE_SECRET_KEY_FILE", value_name = "FILE", conflicts_with = "stripe_secret_key")]
    pub(crate) stripe_secret_key_file: Option<PathBuf>,

    /// What Stripe signs with what it tells POST /webhooks/stripe of the console; several, with commas between them, while one takes the place of another
    #[arg(long, env = "FAREBOX_STRIPE_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub(crate) stripe_webhook_secret: Option<SecretText>,

    /// File that holds it, or several, a line each
    #[arg(long, env = "FAREBOX_STRIPE_WEBHOOK_SECRET_FILE", value_name = "FILE", conflicts_with = "stripe_webhook_secret")]
    pub(crate) stripe_webhook_secret_file: Option<PathBuf>,

    /// Where Stripe's API is; another address than its own is for tests, and on this machine only
    #[arg(long, env = "FAREBOX_STRIPE_API_BASE", value_name = "URL", default_value = app::server::STRIPE_API)]
    pub(crate) stripe_api_base: String,

    /// The least that a customer pays at once, in the currency's units
    #[arg(long, env = "FAREBOX_SMALLEST_TOP_UP", value_name = "AMOUNT", default_value = "5")]
    pub(crate) smallest_top_up: Amount,

    /// The most that a customer pays at once; what is paid beyond it is credited by an operator alone, see `farebox payments`
    #[arg(long, env = "FAREBOX_LARGEST_TOP_UP", value_name = "AMOUNT", default_value = "10000")]
    pub(crate) largest_top_up: Amount,
}

/// How a command prints what it did.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print JSON for machines
    #[arg(long, env = "FAREBOX_JSON", global = true, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
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

/// A path as it is from here: the process goes to its data folder.
pub(crate) fn absolute(text: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(text)
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

/// A number of bytes as people write it: `500M`, `20G`, in powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

impl FromStr for ByteCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let shift = match text[digits.len()..].trim().to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err("write a whole number of bytes, such as 500M or 20G".to_owned()),
        };
        let number: u64 = digits.parse().map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => "is too large".to_owned(),
            _ => "write a whole number of bytes, such as 500M or 20G".to_owned(),
        })?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| "is too large".to_owned())
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// Wraps a secret; the end of its line, which files and terminals add, is no part of it.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// An address that people see: `http://` or `https://`, a host, no path, no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    /// The address of a listener. A wildcard address is shown as its loopback, which is where the person at this machine reaches it.
    pub(crate) fn of_listener(bound: SocketAddr) -> Self {
        let host = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ip => ip,
        };
        Self(format!("http://{}", SocketAddr::new(host, bound.port())))
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('/');
        let uri: axum::http::Uri = text.parse().map_err(|error| format!("{error}"))?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        if is_web
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("write it like https://console.example.com, without a path".to_owned())
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where people write to, or read on: a link, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SalesContact {
    /// `mailto:sales@example.com`, `https://example.com/sales`.
    pub(crate) link: String,
    /// Without what only browsers need.
    pub(crate) words: String,
}

impl FromStr for SalesContact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_plain =
            !text.is_empty() && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control() || "\"<>?&%".contains(letter));
        let web = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).filter(|host| !host.is_empty());
        match (is_plain, web, text.split_once('@')) {
            (true, Some(words), _) => Ok(Self { link: text.to_owned(), words: words.trim_end_matches('/').to_owned() }),
            (true, None, Some((name, host))) if !name.is_empty() && !host.is_empty() && !name.contains(':') => {
                Ok(Self { link: format!("mailto:{text}"), words: text.to_owned() })
            }
            _ => Err("write an e-mail address, or one like https://example.com/sales".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_variable_and_a_help_text() {
        fn check(command: &clap::Command) {
            for flag in command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version")) {
                let name = format!("{} {}", command.get_name(), flag.get_id());
                assert!(flag.get_help().is_some(), "{name} has no help text");
                // What agrees to one change by naming it must not agree to the next.
                let is_consent = name == "set yes";
                assert!(flag.is_positional() || is_consent || flag.get_env().is_some(), "{name} has no environment variable");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn a_public_address_has_no_path() {
        assert_eq!(
            "https://farebox.example.com/".parse::<PublicUrl>().map(|url| url.to_string()),
            Ok("https://farebox.example.com".to_owned())
        );
        for wrong in
            ["farebox.example.com", "ftp://farebox.example.com", "https://farebox.example.com/v1", "https://me@farebox.example.com", ""]
        {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_written_as_people_do() {
        let bytes = |text: &str| text.parse::<ByteCount>().map(|ByteCount(bytes)| bytes);
        assert_eq!((bytes("7"), bytes("2k"), bytes("500M"), bytes("20 GiB")), (Ok(7), Ok(2 << 10), Ok(500 << 20), Ok(20 << 30)));
        for wrong in ["", "rubbish", "-5", "1.5G", "G"] {
            assert!(bytes(wrong).is_err_and(|problem| problem.contains("whole number")), "{wrong}");
        }
        assert_eq!(
            (bytes("99999999999999999999"), bytes("99999999999G")),
            (Err("is too large".to_owned()), Err("is too large".to_owned()))
        );
    }

    #[test]
    fn a_wildcard_listener_is_reached_by_loopback() {
        assert_eq!(PublicUrl::of_listener(SocketAddr::from(([0, 0, 0, 0], 8080))).to_string(), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_sales_contact_is_mailed_to_or_read_and_no_other_link() {
        let read = |text: &str| text.parse::<SalesContact>().map(|contact| (contact.link, contact.words));
        let link = |link: &str, words: &str| Ok((link.to_owned(), words.to_owned()));
        assert_eq!(read("sales@example.com"), link("mailto:sales@example.com", "sales@example.com"));
        assert_eq!(read(" https://example.com/sales/ "), link("https://example.com/sales/", "example.com/sales"));
        for text in [
            "",
            "sales",
            "javascript:alert(1)",
            "javascript:a@b",
            "sales@",
            "https://",
            "a b@example.com",
            "a@example.com?bcc=b@example.com",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
