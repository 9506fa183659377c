//! Who pays for a call, what bounds it, and what it leaves behind.
//!
//! One concept carries prepaid credit, plans, packages, budgets and rate limits: the [`Pool`], a capacity that calls hold a part of while
//! they run and use when they end. A [`Grant`] is a pool that pays, a [`Limit`] is one that only bounds. [`admit`] asks all of them before
//! a call begins and says what to hold of which; [`settle`] says what became of it. Both only compute: whoever keeps the pools applies the
//! [`Hold`]s and the [`Change`]s, each once.

mod admit;
mod grant;
mod hold;
mod limit;
mod line;
mod pool;
mod refusal;
mod room;
mod settle;
mod window;

pub use admit::{Demand, Split, admit, bound, pay, take, unit_of};
pub use grant::Grant;
pub use hold::{Change, Hold, PoolRef};
pub use limit::{Caller, Hardness, Limit, LimitSetter, LimitState, Scope, ScopeKind, Threshold, ThresholdError, crossed};
pub use line::{CreditLine, Grace, Mode, graces_begun, next_grace};
pub use pool::{Figure, Pool, Quantity, QuantityError, Unit};
pub use refusal::{Exhausted, Refuser};
pub use room::{Bounds, Room, room};
pub use settle::{Charge, Strictness, release, settle};
pub use window::{Window, WindowRange};

#[cfg(test)]
pub(crate) mod testing;
