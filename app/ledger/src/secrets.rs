//! Secrets at rest: providers' credentials under the deployment's secret key.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};

use crate::{Error, Result, scram};

/// Length of a secret key, in bytes.
pub const KEY_BYTES: usize = 32;

const NONCE_BYTES: usize = 24;

/// The deployment's secret key. Never printed.
#[derive(Clone)]
pub struct SecretKey {
    bytes: [u8; KEY_BYTES],
    cipher: XChaCha20Poly1305,
}

impl SecretKey {
    /// The key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self { bytes, cipher: XChaCha20Poly1305::new(&bytes.into()) }
    }

    /// The key as it is written in a file or variable: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn from_hex(text: &str) -> Result<Self> {
        let text = text.trim();
        let problem = || Error::invalid("secret key", "write 64 hexadecimal digits: openssl rand -hex 32");
        if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
            return Err(problem());
        }
        let mut bytes = [0; KEY_BYTES];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| problem())?;
        }
        Ok(Self::from_bytes(bytes))
    }

    /// Another secret that follows from this one, for one `purpose` and one `subject` alone: 64 hexadecimal digits.
    #[must_use]
    pub fn derive(&self, purpose: &str, subject: &str) -> String {
        let purpose = scram::hmac(&self.bytes, purpose.as_bytes());
        scram::hmac(&purpose, subject.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encrypts a secret. `context` says whose it is: it opens only under the same.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the cipher refuses, which it does only for absurd lengths.
    pub fn seal(&self, secret: &str, context: &str, nonce: [u8; NONCE_BYTES]) -> Result<Vec<u8>> {
        let payload = Payload { msg: secret.as_bytes(), aad: context.as_bytes() };
        let sealed =
            self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Corrupt("a secret could not be encrypted".to_owned()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts what [`Self::seal`] made.
    ///
    /// # Errors
    /// [`Error::Corrupt`] under another key or context, or when a bit was changed.
    pub fn open(&self, sealed: &[u8], context: &str) -> Result<String> {
        let wrong = || Error::Corrupt(format!("the credential of {context} does not open with this secret key"));
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong)?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let secret = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| wrong())?;
        String::from_utf8(secret).map_err(|_| wrong())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_secret_opens_only_under_its_key_and_context() {
        let key = SecretKey::from_hex(&"0a".repeat(32)).unwrap();
        let sealed = key.seal("sk-upstream", "openai", [7; 24]).unwrap();
        assert_eq!(key.open(&sealed, "openai").unwrap(), "sk-upstream");
        assert!(key.open(&sealed, "another").is_err());
        assert!(SecretKey::from_bytes([1; 32]).open(&sealed, "openai").is_err());
        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        assert!(key.open(&changed, "openai").is_err());
        assert!(key.open(&[1, 2, 3], "openai").is_err());
    }
}
