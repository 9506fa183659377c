//! How customers pay.

use std::path::PathBuf;

use clap::Args;
use domain::money::Amount;

use super::SecretText;

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
