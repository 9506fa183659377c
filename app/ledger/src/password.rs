//! Passwords: argon2id, off the async threads, a few at a time.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{Error, Result};

/// OWASP asks for at least 8; the upper bound keeps a request from buying minutes of hashing.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

/// Each hash takes 19 MiB and tens of milliseconds of a core (argon2's defaults, which are OWASP's first choice); more at once would only
/// take turns, and memory.
static HASHING: Semaphore = Semaphore::const_new(2);

/// What an unknown address is checked against, so that it takes as long as a known one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now("nobody signs in with this").unwrap_or_default());

/// Hashes a new password into a PHC string.
pub(crate) async fn hash(password: String) -> Result<String> {
    if !LENGTH.contains(&password.chars().count()) {
        return Err(Error::invalid("password", "choose 8 to 256 characters"));
    }
    hashing(move || hash_now(&password)).await?
}

/// Checks a password against a stored hash; `None` is an unknown address.
pub(crate) async fn verify(password: String, stored: Option<String>) -> Result<bool> {
    hashing(move || {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| NOBODY.clone());
        let parsed = PasswordHash::new(&stored).map_err(|error| Error::Corrupt(format!("password hash: {error}")))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
    })
    .await?
}

async fn hashing<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _turn = HASHING.acquire().await.map_err(|error| Error::Corrupt(error.to_string()))?;
    spawn_blocking(work).await.map_err(|error| Error::Corrupt(format!("password hashing: {error}")))
}

fn hash_now(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Corrupt(format!("password hashing: {error}")))
}
