//! The words Farebox thinks in: money, tokens, rates, receipts, credit, ids, periods and filters.
//!
//! Everything here is pure. There is no I/O and no clock: time and randomness arrive as arguments, so the same code prices a call in the
//! proxy, recomputes it in the proof and explains it in the browser.

pub mod account;
pub mod address;
pub mod attribution;
pub mod audit;
pub mod billing;
pub mod call;
pub mod catalog;
pub mod code;
pub mod credit;
pub mod customers;
pub mod document;
pub mod estimate;
pub mod filter;
pub mod id;
pub mod journal;
pub mod key;
pub mod lease;
pub mod money;
pub mod month;
pub mod monthly;
pub mod own_price;
pub mod payment;
pub mod period;
pub mod plan;
pub mod price_change;
pub mod price_history;
pub mod price_list;
pub mod pricing;
pub mod proof;
pub mod proxies;
pub mod rate_unit;
pub mod rates;
pub mod replay;
pub mod service_tier;
pub mod text;
pub mod today;
pub mod tokens;
pub mod usage;
pub mod wanted;
