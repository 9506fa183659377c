//! Bytes: how requests and answers are read as they pass, and changed as little as can be. No provider has a name here.

pub(crate) mod cost;
pub(crate) mod document;
pub(crate) mod estimate;
pub(crate) mod grammar;
pub(crate) mod json;
pub(crate) mod report;
pub(crate) mod scan;
pub(crate) mod shape;
pub(crate) mod splice;
pub(crate) mod sse;
pub(crate) mod tap;
mod without_cost;
