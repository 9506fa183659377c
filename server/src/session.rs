//! Sessions of the console, kept in the ledger's database.
//!
//! A small store of our own: the published one is made for another version of sqlx. tower-sessions speaks `time`, the ledger `chrono`; they
//! meet here only. The database holds the digest of a session's id, so that reading it opens no session.

use std::{collections::HashMap, fmt::Write as _};

use app::server::SignedIn;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use ledger::Ledger;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tower_sessions::{
    Expiry, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// A session ends when nobody used it for so long.
const IDLE: time::Duration = time::Duration::days(7);

/// The layer that opens a request's session. Over HTTPS its cookie is never sent without it.
pub(crate) fn layer(ledger: Ledger, is_https: bool) -> SessionManagerLayer<Sessions> {
    // With the prefix, browsers take the cookie from this host over HTTPS only (RFC 6265bis, section 4.1.3.2).
    let name = if is_https { "__Host-farebox" } else { "farebox" };
    SessionManagerLayer::new(Sessions { ledger })
        .with_name(name)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(is_https)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(IDLE))
}

/// Sessions in the ledger's database.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    ledger: Ledger,
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let data = encode(record)?;
        let user = SignedIn::user_of(&record.data);
        // A collision of 128 random bits is not expected, and yet not taken for somebody else's session.
        while !self.ledger.create_session(&stored_id(record.id), user, &data, to_chrono(record.expiry_date)?).await.map_err(backend)? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let user = SignedIn::user_of(&record.data);
        self.ledger.save_session(&stored_id(record.id), user, &encode(record)?, to_chrono(record.expiry_date)?).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some((data, expires_at)) = self.ledger.load_session(&stored_id(*id), Utc::now()).await.map_err(backend)? else {
            return Ok(None);
        };
        let data: HashMap<_, _> = serde_json::from_slice(&data).map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date: to_time(expires_at)? }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.ledger.delete_session(&stored_id(*id)).await.map_err(backend)
    }
}

fn stored_id(id: Id) -> String {
    Sha256::digest(id.0.to_be_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn encode(record: &Record) -> Result<Vec<u8>> {
    serde_json::to_vec(&record.data).map_err(|error| Error::Encode(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn backend(error: ledger::Error) -> Error {
    Error::Backend(error.to_string())
}

fn to_chrono(at: OffsetDateTime) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp(at.unix_timestamp(), at.nanosecond()).ok_or_else(|| Error::Encode("an expiry beyond all calendars".to_owned()))
}

fn to_time(at: DateTime<Utc>) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.timestamp()).map_err(|error| Error::Decode(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_never_sees_a_sessions_id() {
        let id = Id(42);
        assert_eq!(stored_id(id).len(), 64);
        assert!(!stored_id(id).contains(&id.to_string()));
    }
}
