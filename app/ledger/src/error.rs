//! The one error of the crate: each variant is something a caller does differently.

use domain::{credit::Exhausted, money::Amount, text::is_disruptive};

/// What the ledger answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the ledger did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or it is somebody else's.
    #[error("not found")]
    NotFound,
    /// The person may not do this.
    #[error("not allowed")]
    Forbidden,
    /// Unknown address or wrong password; which of the two is not said.
    #[error("the e-mail address or the password is wrong")]
    BadCredentials,
    /// Somebody signed up with this address before.
    #[error("this e-mail address is already in use")]
    EmailTaken,
    /// A thing of this kind and name exists.
    #[error("{0} already exists")]
    Taken(&'static str),
    /// There is not so much to take back.
    #[error("insufficient credit: {needed} needed, {available} available")]
    InsufficientCredit {
        /// What was asked for.
        needed: Amount,
        /// What could have been had.
        available: Amount,
    },
    /// A pool of credit, or a limit, has not all that the call may take.
    #[error("{0}")]
    Exhausted(Box<Exhausted>),
    /// The idempotency key was used for something else.
    #[error("this idempotency key was used for another request")]
    IdempotencyConflict,
    /// A price may not change under calls that are being admitted.
    #[error("a price takes effect at least a minute from now")]
    PriceTooSoon,
    /// Somebody wrote to this side of the model's price after its writer had read it.
    #[error("this price was changed since it was read: read it again")]
    PriceMoved,
    /// It leaps, or is below cost: see [`domain::price_change::PriceChange`].
    #[error("this price leaps or is below cost, and nobody agreed to that")]
    PriceNotAgreed,
    /// A proxy's life is over to the ledger: what it had leased is not its own any more. It begins another.
    #[error("this proxy's lease is over")]
    EpochOver,
    /// What was typed cannot be.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which input.
        field: &'static str,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The database is away or refused the statement.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// The database answers, and takes no writes: it is a standby, or somebody froze it.
    #[error("the database takes no writes right now: it is a standby, or was set read-only")]
    ReadOnly,
    /// The database has the schema of a later version, which this one must not write to.
    #[error(
        "the database has the schema of a later version of Farebox, which this one must not write to: run that version, or restore a backup \
         from before it was migrated"
    )]
    Outdated,
    /// A stored value means nothing: the database was changed by hand, or a secret key is not the one it was written with.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
}

impl Error {
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }

    /// Of a database that says nothing, for whoever does not wait for it any longer.
    #[must_use]
    pub const fn no_answer() -> Self {
        Self::Unavailable(sqlx::Error::PoolTimedOut)
    }

    /// A name or a reason without the space around it. One line, read in its own direction: in a table on a terminal a second one could pass for a row of
    /// somebody else's, and letters that are turned around for another name.
    pub(crate) fn one_line<'a>(field: &'static str, text: &'a str) -> Result<&'a str> {
        let text = text.trim();
        if text.chars().any(is_disruptive) {
            return Err(Self::invalid(
                field,
                "write it on one line, without tabs, control characters, or characters that turn the direction of a text",
            ));
        }
        Ok(text)
    }

    /// Whether the database cannot have done anything of what was asked: there was no connection to be had, it takes no writes, or a lock that was
    /// waited for in vain (SQLSTATE 55P03) undid the transaction.
    #[must_use]
    pub fn did_nothing(&self) -> bool {
        match self {
            Self::ReadOnly | Self::Outdated | Self::Unavailable(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => true,
            _ => self.is_a_lock(),
        }
    }

    /// Whether a lock was waited for in vain (SQLSTATE 55P03): somebody else is busy with what was asked for, and the database is there.
    #[must_use]
    pub fn is_a_lock(&self) -> bool {
        matches!(self, Self::Unavailable(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03"))
    }

    /// Whether the row itself is at fault, so that repeating the statement cannot help: SQLSTATE classes 22 (data) and 23 (constraint).
    #[must_use]
    pub fn is_of_the_data(&self) -> bool {
        match self {
            Self::Unavailable(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            // A constraint or a character that has an answer of its own, see below.
            Self::Invalid { .. } | Self::Taken(_) | Self::Corrupt(_) => true,
            _ => false,
        }
    }
}

/// Every constraint that a person can run into has its own answer.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let constraint = error.as_database_error().and_then(|database| database.constraint());
        match constraint.map(without_shard) {
            Some("users_email_is_unique") => Self::EmailTaken,
            Some("users_email_is_short") => Self::invalid("email", "write an address of 3 to 254 characters"),
            Some("accounts_name_is_short") => Self::invalid("name", "write 1 to 200 characters"),
            Some("api_keys_name_is_short" | "report_keys_name_is_short") => Self::invalid("name", "write 1 to 100 characters"),
            Some("projects_name_is_unique") => Self::Taken("a project of this name"),
            Some("projects_name_is_short") => Self::invalid("name", "write 1 to 100 characters"),
            Some("api_keys_account_id_project_id_fkey") => Self::NotFound,
            Some("providers_name_is_unique") => Self::Taken("a provider of this name"),
            Some("providers_name_is_short") => Self::invalid("name", "write 1 to 100 characters"),
            Some("providers_connect_timeout_is_short") => Self::invalid("connect time-out", "write one of 1 ms to 10 minutes"),
            Some("providers_first_byte_timeout_is_short") => Self::invalid("first-byte time-out", "write one of 1 ms to 10 minutes"),
            Some("providers_idle_timeout_is_short") => Self::invalid("idle time-out", "write one of 1 ms to 30 minutes"),
            Some("fallbacks_are_unique" | "fallbacks_have_places") => Self::Taken("a provider of this model"),
            Some("models_name_is_unique") => Self::Taken("a model of this name"),
            Some("models_name_is_short") => Self::invalid("name", "write 1 to 200 characters"),
            Some("models_context_window_is_positive") => Self::invalid("context window", "write a number above 0"),
            Some("models_output_hold_fits") => Self::invalid("default output hold", "write a number from 1 to the context window"),
            Some("models_output_min_fits") => Self::invalid("smallest output", "write a number from 1 to the context window"),
            Some("models_bounds_are_counts" | "models_pdf_max_is_a_count") => Self::invalid("bounds", "write numbers from 0 on"),
            Some("sellers_pkey") => Self::Taken("this version of who sells"),
            Some("price_versions_are_unique" | "price_versions_of_accounts_are_unique") => {
                Self::Taken("a price of this model from this instant on")
            }
            _ => match error {
                sqlx::Error::RowNotFound => Self::NotFound,
                // "character not in repertoire": the one character that Postgres stores in no text is NUL.
                sqlx::Error::Database(error) if error.code().as_deref() == Some("22021") => {
                    Self::invalid("text", "contains a character that cannot be stored")
                }
                other => Self::Unavailable(other),
            },
        }
    }
}

/// A constraint's name as the schema has it: where a table is spread over machines, the number of a shard stands behind it.
fn without_shard(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((whole, shard)) if !shard.is_empty() && shard.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        _ => name,
    }
}
