//! The command line. Every flag has an environment variable, so that a container can be set up without arguments.

mod byte_count;
mod payment;
mod place;
mod public_url;
mod sales_contact;
mod secret_text;
mod serve;

use std::path::Path;

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};

pub(crate) use self::{
    byte_count::ByteCount,
    payment::PaymentArgs,
    place::PlaceArgs,
    public_url::PublicUrl,
    secret_text::SecretText,
    serve::{Part, ServeArgs, SignUp, SpoolSync, WhenDatabaseAway, absolute},
};
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

/// How a command prints what it did.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print JSON for machines
    #[arg(long, env = "FAREBOX_JSON", global = true, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
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
}
