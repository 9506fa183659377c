//! The way to the upstream: pooled HTTP/1.1, nothing sent twice, nothing of the client's identity, and no private address by accident.

pub(crate) mod address;
pub(crate) mod alarm;
pub(crate) mod body;
pub(crate) mod certificate;
mod connecting;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod pool;
pub(crate) mod refused;
