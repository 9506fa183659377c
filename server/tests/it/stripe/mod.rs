//! Payments through Stripe, for which a stand-in stands here.

mod paid;
mod standin;
mod told;
