//! Bringing a database to this version's schema, and its application's role to its rights.

use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor, PgConnection, QueryBuilder, Row};

use crate::{Address, Error, Ledger, Login, MIGRATOR, Result, database, partitions, scram};

/// What a database holds of this version's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Nothing: no version of Farebox was here.
    Absent,
    /// An older version's: it must be migrated.
    Older,
    /// All of it.
    Current,
    /// A later version's, which lets this one write beside it.
    Later,
    /// A later version's, which does not.
    TooNew,
}

/// The oldest PostgreSQL that will do, as `server_version_num` has it.
const SERVER_VERSION_MIN: i32 = 150_000;

/// Every right that the application has. What was posted it can neither change nor delete, and what is not here it cannot reach.
const RIGHTS: [(&str, &str); 8] = [
    ("schema_contract, identity, quarantine_of_unposted, figures, dated_figures", "select"),
    (
        "key_digests, report_key_digests, projects, price_versions, credit_lines, journal, entries, roots, calls, corrections, quarantine, audit, plan_versions, plan_periods, \
         payment_movements, payment_references, payment_events, code_batches, codes, redemptions, sellers, documents",
        "select, insert",
    ),
    ("price_versions", "update (withdrawn_at, withdrawn_by, ends_at)"),
    ("code_batches", "update (revoked_at, revoked_by)"),
    ("codes", "update (used)"),
    (
        "accounts, users, memberships, api_keys, report_keys, heads, grants, books, limits, usage_hourly, usage_daily, plans, subscriptions, payments, auto_top_ups, \
         payment_refunds, stray_payments, billing_details, documented, document_years",
        "select, insert, update",
    ),
    ("intents", "select, insert, delete"),
    (
        "providers, models, fallbacks, sessions, proofs, limit_windows, epochs, leases, slices, notices, wanted_models",
        "select, insert, update, delete",
    ),
];

impl Ledger {
    /// What the database holds. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when nothing answers there, or what answers cannot be used; it says why and what to do.
    pub async fn schema(address: &Address) -> Result<Schema> {
        let mut owner = address.connect().await?;
        expect_usable(&mut owner, address).await?;
        let schema = schema(&mut owner).await?;
        owner.close().await?;
        Ok(schema)
    }

    /// Brings the database to this version's schema and makes the months around `now`. A later version's schema is left as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the database cannot be used, [`Error::Outdated`], [`Error::Corrupt`] when its migrations are not ours.
    pub async fn migrate(address: &Address, now: DateTime<Utc>) -> Result<()> {
        let mut owner = address.connect().await?;
        expect_usable(&mut owner, address).await?;
        match schema(&mut owner).await? {
            Schema::TooNew => return Err(Error::Outdated),
            Schema::Later => return Ok(()),
            Schema::Absent | Schema::Older | Schema::Current => {}
        }
        MIGRATOR.run(&mut owner).await.map_err(|error| Error::Corrupt(format!("migrations: {error}")))?;
        partitions::make_around(&mut owner, now).await?;
        owner.close().await?;
        Ok(())
    }

    /// Sees to it that the application can log in to a database of this version's schema, with the rights that it needs and no others.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it cannot, with what to do.
    pub async fn prepare_login(address: &Address, login: &Login) -> Result<()> {
        let mut owner = address.connect().await?;
        if let Some(password) = &login.password {
            write_role(&mut owner, login, password, false).await?;
        }
        write_rights(&mut owner, login).await?;
        let mut application = login.connect().await.map_err(|error| no_login(login, &error))?;
        expect_the_same_database(&mut owner, &mut application).await?;
        expect_weakness(&mut application).await?;
        application.close().await?;
        owner.close().await?;
        Ok(())
    }

    /// Gives the application's role the password that follows from the secret key of today. Whoever works with another one is shut out.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the database cannot be used, or its owner may not do this.
    pub async fn renew_login(address: &Address, login: &Login) -> Result<()> {
        let mut owner = address.connect().await?;
        if let Some(password) = &login.password {
            write_role(&mut owner, login, password, true).await?;
        }
        owner.close().await?;
        Ok(())
    }
}

/// Two addresses may be of two databases: a lock that one has taken is seen by the other only in the same one.
async fn expect_the_same_database(owner: &mut PgConnection, application: &mut PgConnection) -> Result<()> {
    // Its own session's number, so that two starts at once do not meet.
    let key = i64::from(session(owner).await?);
    sqlx::query("select pg_advisory_lock($1)").bind(key).execute(&mut *owner).await?;
    let free: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(key).fetch_one(application).await?;
    sqlx::query("select pg_advisory_unlock($1)").bind(key).execute(owner).await?;
    if free {
        return Err(Error::invalid("application's database URL", "it is of another database than the database URL"));
    }
    Ok(())
}

/// Who could rewrite the books must not be the one who serves, by whatever right.
async fn expect_weakness(application: &mut PgConnection) -> Result<()> {
    let strong: bool = sqlx::query_scalar(
        "select coalesce(bool_or(has_table_privilege(c.oid, 'update, delete, truncate') or pg_has_role(c.relowner, 'member')), false) from pg_class c \
         where c.oid in (select to_regclass(name) from unnest(array['calls', 'corrections', 'journal', 'entries', 'roots', 'audit']) name) \
         or c.oid in (select inhrelid from pg_inherits where inhparent = to_regclass('calls'))",
    )
    .fetch_one(application)
    .await?;
    if strong {
        let problem = "its role could rewrite the books: name one that is no superuser, no member of the owner, and has no right that was given to all roles";
        return Err(Error::invalid("application's database URL", problem));
    }
    Ok(())
}

async fn schema(owner: &mut PgConnection) -> Result<Schema> {
    let known: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *owner).await?;
    if !known {
        return Ok(Schema::Absent);
    }
    let latest: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations where success").fetch_one(&mut *owner).await?;
    Ok(match latest {
        None => Schema::Absent,
        latest if latest < database::version() => Schema::Older,
        latest if latest == database::version() => Schema::Current,
        _ if !sqlx::query_scalar("select to_regclass('schema_contract') is not null").fetch_one(&mut *owner).await? => {
            return Err(Error::invalid("database URL", "it was made by a version before the first release: begin with an empty database"));
        }
        _ => {
            let oldest_writer: i64 = sqlx::query_scalar("select oldest_writer from schema_contract").fetch_one(owner).await?;
            if Some(oldest_writer) <= database::version() { Schema::Later } else { Schema::TooNew }
        }
    })
}

/// What cannot be used is refused before the first statement changes anything.
async fn expect_usable(owner: &mut PgConnection, address: &Address) -> Result<()> {
    let unusable = |problem: String| Err(Error::invalid("database URL", problem));
    // Without prepared statements, which a pooler may lose between two messages.
    let server = sqlx::raw_sql("select current_setting('server_version_num')::integer, current_setting('server_encoding')");
    let server = server.fetch_one(&mut *owner).await?;
    let (version, encoding): (i32, String) = (server.try_get(0)?, server.try_get(1)?);
    if version < SERVER_VERSION_MIN {
        return unusable(format!("it is PostgreSQL {}: Farebox needs 15 or newer", version / 10_000));
    }
    if encoding != "UTF8" {
        return unusable(format!("its encoding is {encoding}, which has no room for every name: create the database with encoding 'UTF8'"));
    }
    if shares_sessions(owner, address).await? {
        return unusable(
            "it is reached through a pooler that gives each transaction another session: use PgBouncer's pool_mode = session, or PostgreSQL's own port"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a pooler in between gives each transaction another session: while a second connection holds the session that the first one just had, the
/// first gets another.
async fn shares_sessions(owner: &mut PgConnection, address: &Address) -> Result<bool> {
    let first = session(owner).await?;
    let mut other = address.connect().await?;
    let mut holding = other.begin().await?;
    session(&mut holding).await?;
    let second = session(owner).await?;
    holding.rollback().await?;
    other.close().await?;
    Ok(first != second)
}

async fn session(connection: &mut PgConnection) -> Result<i32> {
    Ok(sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?.try_get(0)?)
}

async fn write_rights(owner: &mut PgConnection, login: &Login) -> Result<()> {
    let role = quoted(login.role());
    let mut tx = alone(owner).await?;
    // A later version's rights are that version's to give; asked here, since it may have come while this one waited.
    if schema(&mut tx).await? != Schema::Current {
        return Ok(());
    }
    let ours: Vec<String> = sqlx::query_scalar(
        "select format('%I', relname) from pg_class \
         where relnamespace = 'public'::regnamespace and relowner = (select oid from pg_roles where rolname = current_user) and relkind in ('r', 'p', 'v')",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut statements = vec![
        format!("revoke all on {} from {role}", ours.join(", ")),
        format!("grant usage on schema public to {role}"),
        format!("grant execute on function make_calls_partition, lock_books, uuid_v7_time, claim, claims, claims_of_tags to {role}"),
    ];
    statements.extend(RIGHTS.map(|(tables, rights)| format!("grant {rights} on {tables} to {role}")));
    for statement in statements {
        QueryBuilder::new(statement).build().execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn is_role(connection: &mut PgConnection, role: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)").bind(role).fetch_one(connection).await?)
}

/// Makes the role, or leaves one that is there as it is, but for its password where that is to be renewed.
async fn write_role(owner: &mut PgConnection, login: &Login, password: &str, renew: bool) -> Result<()> {
    let mut tx = alone(owner).await?;
    let (role, verifier) = (quoted(login.role()), scram::verifier(password));
    let statement = match is_role(&mut tx, login.role()).await? {
        true if !renew => return Ok(()),
        true => format!("alter role {role} login password '{verifier}'"),
        false => format!("create role {role} login nosuperuser nocreatedb nocreaterole password '{verifier}'"),
    };
    let cannot_prepare = if renew { cannot_renew } else { cannot_make };
    QueryBuilder::new(statement).build().execute(&mut *tx).await.map_err(|error| cannot_prepare(login, &error))?;
    tx.commit().await?;
    Ok(())
}

/// Several processes may start at once, and PostgreSQL refuses two changes of one role's rights at the same time.
async fn alone(owner: &mut PgConnection) -> Result<sqlx::PgTransaction<'_>> {
    let mut tx = owner.begin().await?;
    tx.execute("select pg_advisory_xact_lock(hashtext('farebox rights'))").await?;
    Ok(tx)
}

fn cannot_renew(login: &Login, error: &sqlx::Error) -> Error {
    let role = quoted(login.role());
    let problem = format!(
        "its owner may not change the password of the role that the application works as ({error}). Let an administrator run: \
         grant {role} to the owner with admin option; or make another role, and name it with --app-database-url"
    );
    Error::invalid("database URL", problem)
}

fn cannot_make(login: &Login, error: &sqlx::Error) -> Error {
    let role = login.role();
    let problem = format!(
        "its owner may not make the role that the application works as ({error}). Let an administrator run: create role {} login password '…'; \
         then name that role with --app-database-url",
        quoted(role)
    );
    Error::invalid("database URL", problem)
}

fn no_login(login: &Login, error: &Error) -> Error {
    let role = login.role();
    let problem = match login.password {
        Some(_) => format!(
            "the application cannot log in as {role} ({error}). Every process must have the same FAREBOX_SECRET_KEY, from which its password follows. \
             If the key was changed on purpose, run: farebox migrate --renew-login"
        ),
        None => format!("the application cannot log in as {role} ({error}): look at --app-database-url"),
    };
    Error::invalid("database URL", problem)
}

/// A name as an identifier, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
