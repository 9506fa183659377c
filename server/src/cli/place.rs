//! Where things are.

use std::path::PathBuf;

use clap::Args;

use super::SecretText;

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
