//! Where a database is, and who logs in there: the role that owns the schema for migrations, the application's own for everything else.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{Error, Result, secrets::SecretKey};

const FIELD: &str = "database URL";

/// How long PostgreSQL may take to let somebody in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest name of a role (PostgreSQL's NAMEDATALEN − 1).
const NAME_BYTES_MAX: usize = 63;

/// A database, as the role that owns its schema reaches it. Its password is never printed.
#[derive(Clone)]
pub struct Address(pub(crate) PgConnectOptions);

/// How the application logs in to a database. Its password is never printed.
#[derive(Clone)]
pub struct Login {
    pub(crate) options: PgConnectOptions,
    /// Where it follows from the secret key; `None` where an administrator made the role.
    pub(crate) password: Option<String>,
}

impl Address {
    /// A database by its owner's URL.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no URL of a PostgreSQL database.
    pub fn parse(url: &str) -> Result<Self> {
        Ok(parse(FIELD, url)?.into())
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        connect(&self.0).await
    }
}

impl From<PgConnectOptions> for Address {
    /// PgBouncer refuses this setting, and only floats would need it.
    fn from(options: PgConnectOptions) -> Self {
        Self(options.extra_float_digits(None).application_name("farebox"))
    }
}

impl Login {
    /// As a role of this database alone, whose password follows from the deployment's secret key: all its processes know it, and it is stored nowhere.
    #[must_use]
    pub fn derived(address: &Address, secret: &SecretKey) -> Self {
        let owner = &address.0;
        let role = role_of(owner.get_database().unwrap_or(owner.get_username()));
        let password = secret.derive("the application's login to the database", &role);
        Self { options: owner.clone().username(&role).password(&password), password: Some(password) }
    }

    /// As a role that an administrator made, by its URL.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no URL of a PostgreSQL database, or of the owner's role.
    pub fn parse(url: &str, address: &Address) -> Result<Self> {
        const FIELD: &str = "application's database URL";
        let Address(options) = parse(FIELD, url)?.into();
        if options.get_username() == address.0.get_username() {
            return Err(Error::invalid(FIELD, "name another role than the database URL does: the owner of the books could rewrite them"));
        }
        Ok(Self { options, password: None })
    }

    /// The role that the application works as.
    #[must_use]
    pub fn role(&self) -> &str {
        self.options.get_username()
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        connect(&self.options).await
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let place = || format!("{}:{}", options.get_host(), options.get_port());
    match timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(sqlx::Error::Io(error))) => {
            Err(Error::invalid(FIELD, format!("no PostgreSQL answers at {} ({error}): is it running, and is the address right?", place())))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Error::invalid(FIELD, format!("no PostgreSQL answers at {} within {CONNECT_TIMEOUT:?}", place()))),
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("host", &self.0.get_host()).field("database", &self.0.get_database()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("role", &self.role()).finish_non_exhaustive()
    }
}

/// Roles belong to the whole cluster, and databases are named there: each has an application of its own, which has no right in any other.
fn role_of(database: &str) -> String {
    const PREFIX: &str = "farebox_app_";
    if PREFIX.len() + database.len() <= NAME_BYTES_MAX {
        return format!("{PREFIX}{database}");
    }
    let digest = Sha256::digest(database);
    digest[..16].iter().fold(PREFIX.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

fn parse(field: &'static str, url: &str) -> Result<PgConnectOptions> {
    let Some(("postgres" | "postgresql", rest)) = url.split_once("://") else {
        return Err(Error::invalid(field, "write it like postgres://user:password@host:5432/database; Farebox works with PostgreSQL only"));
    };
    const HINT: &str = "write characters such as @ : / # in a password as %40 %3A %2F %23";
    // A second one makes a host of half the password, and a database of the rest.
    if rest.split('?').next().is_some_and(|place| place.matches('@').count() > 1) {
        return Err(Error::invalid(field, HINT));
    }
    url.parse().map_err(|error| Error::invalid(field, format!("it cannot be read ({error}): {HINT}")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const OWNER: &str = "postgres://metering:hush@db.example.com:5433/metering?sslmode=disable";

    #[test]
    fn the_application_is_a_role_of_its_database_with_a_password_of_its_deployment() {
        let address = Address::parse(OWNER).unwrap();
        let [first, again, elsewhere] = [1, 1, 2].map(|key| Login::derived(&address, &SecretKey::from_bytes([key; 32])));
        assert_eq!((first.role(), first.options.get_host(), first.options.get_port()), ("farebox_app_metering", "db.example.com", 5433));
        assert_eq!(first.options.get_database(), Some("metering"));
        assert!(first.password == again.password && first.password != elsewhere.password);
        assert!(!format!("{first:?}").contains(first.password.as_deref().unwrap()) && !format!("{address:?}").contains("hush"));
    }

    #[test]
    fn long_names_of_databases_stay_apart() {
        let (one, other) = (role_of(&format!("{}1", "x".repeat(60))), role_of(&format!("{}2", "x".repeat(60))));
        assert!(one != other && one.len() <= NAME_BYTES_MAX, "{one} {other}");
    }

    #[test]
    fn an_administrators_role_is_taken_as_it_is_unless_it_is_the_owner() {
        let address = Address::parse(OWNER).unwrap();
        let given = Login::parse("postgres://weak:other@db.example.com/metering", &address).unwrap();
        assert_eq!((given.role(), given.password.as_deref()), ("weak", None));
        assert!(Login::parse(OWNER, &address).unwrap_err().to_string().contains("another role"));
    }

    #[test]
    fn what_is_no_address_is_told_what_to_write() {
        for (url, says) in [
            ("mysql://u:p@h/d", "PostgreSQL only"),
            ("", "postgres://user"),
            ("metering", "postgres://user"),
            ("postgres://u:p@ss/w@h/d", "%40"),
        ] {
            let said = Address::parse(url).unwrap_err().to_string();
            assert!(said.contains(says), "{url}: {said}");
        }
    }
}
