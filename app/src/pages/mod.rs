//! The pages, one folder each.

pub(crate) mod admin_customers;
pub(crate) mod admin_pricing;
pub(crate) mod billing;
pub(crate) mod call;
pub(crate) mod calls;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod not_found;
pub(crate) mod pricing;
pub(crate) mod signup;
pub(crate) mod usage;
