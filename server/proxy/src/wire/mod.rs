//! Bytes: how requests and answers are read as they pass, and changed as little as can be. No provider has a name here.

pub mod estimate;
pub(crate) mod json;
pub mod scan;
pub(crate) mod splice;
pub mod sse;
pub mod tap;
