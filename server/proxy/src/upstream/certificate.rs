//! Why an upstream is not trusted.

use std::{error::Error, io};

use rustls::CertificateError;

/// What is wrong with an upstream's certificate, where that is why it was not reached. No repetition cures it.
pub(crate) fn untrusted(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(in_words(why));
        }
        // One that wraps another shows the other's source as its own.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    None
}

fn in_words(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::UnknownIssuer => {
            "no authority that this machine trusts has signed its certificate; a self-signed one is not trusted by itself: let an authority of your own \
             sign it, and name that authority's certificate in SSL_CERT_FILE"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is this machine's clock right?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "its certificate is for another name",
        CertificateError::Revoked => "its certificate was revoked",
        // Among them an authority's own certificate, which cannot be a server's: what `openssl req -x509` makes.
        CertificateError::Other(_) => {
            "its certificate cannot be a server's, as one that is self-signed and an authority at once: let that authority sign another for the server"
        }
        _ => "its certificate is not valid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_known_however_deep_it_lies() {
        let wrapped = |why| io::Error::other(io::Error::other(rustls::Error::InvalidCertificate(why)));
        assert!(untrusted(&wrapped(CertificateError::UnknownIssuer)).is_some_and(|why| why.contains("self-signed")));
        assert!(untrusted(&wrapped(CertificateError::Expired)).is_some_and(|why| why.contains("expired")));
        assert_eq!(untrusted(&io::Error::other(rustls::Error::HandshakeNotComplete)), None);
        assert_eq!(untrusted(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
