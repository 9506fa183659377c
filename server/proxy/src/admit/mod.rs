//! What a request must pass before it is forwarded: who calls, what of the body there is room for, what the model costs, and credit for the most that the
//! call can come to.

pub(crate) mod attribution;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod bound;
pub(crate) mod catalog;
pub(crate) mod leases;
pub(crate) mod presented;
pub(crate) mod reading;
pub(crate) mod repeats;
pub(crate) mod room;
pub(crate) mod routes;
pub(crate) mod target;
pub(crate) mod wanted;
