//! Plans and packages: what is sold ([`offers`]), what is bought ([`purchases`]), who has what ([`subscriptions`], [`holders`]), and what was paid for ([`periods`], [`renewals`]).
//!
//! A plan is sold in versions that never change, and whoever has bought one keeps it. A period that is paid for is one transaction: its fee leaves the
//! wallet, its allowance is given, and a sealed row says so.

mod holders;
mod offers;
mod periods;
mod purchases;
mod renewals;
mod subscriptions;

pub use domain::plan::Bought;

pub use self::{offers::NewPlan, purchases::Purchase};
pub(crate) use self::{
    offers::{SetPlan, versions},
    periods::{PaidPeriod, of_account},
    subscriptions::{Open, set_end},
};
