//! Payments through Stripe, for which a stand-in stands here.

mod auto;
mod paid;
mod standin;
mod told;
