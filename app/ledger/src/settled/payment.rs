//! Who paid for a call. Nearly always it is one grant, whose id says all.

use std::ops::Deref;

use domain::{
    credit::{PoolRef, Quantity},
    id::GrantId,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

/// One grant's share of a charge, be it money or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaidShare {
    pub(crate) grant_id: GrantId,
    /// Nanos, or tokens.
    pub(crate) amount: i64,
}

impl PaidShare {
    /// So much of a grant; of a limit there is none.
    pub(crate) fn of(pool: PoolRef, quantity: Quantity) -> Option<Self> {
        match pool {
            PoolRef::Grant(grant_id) => Some(Self { grant_id, amount: quantity.get() }),
            PoolRef::Limit { .. } => None,
        }
    }
}

/// The shares of a charge, in the order in which they were taken. In a row of `calls`, of one grant that paid all: its id; of several: a list beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Deserialize))]
pub(crate) struct Payment(Vec<PaidShare>);

impl Payment {
    /// The grant, if it was one.
    pub(crate) fn grant(&self) -> Option<GrantId> {
        if let [share] = self.0[..] { Some(share.grant_id) } else { None }
    }

    /// The shares, if they are several.
    pub(crate) fn several(&self) -> Option<Json<&[PaidShare]>> {
        (self.0.len() > 1).then_some(Json(&self.0))
    }
}

impl From<Vec<PaidShare>> for Payment {
    fn from(shares: Vec<PaidShare>) -> Self {
        Self(shares)
    }
}

impl Deref for Payment {
    type Target = [PaidShare];

    fn deref(&self) -> &[PaidShare] {
        &self.0
    }
}

impl FromRow<'_, PgRow> for Payment {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let tokens: Option<i64> = row.try_get("tokens_paid")?;
        let amount = tokens.map_or_else(|| row.try_get("amount"), Ok)?;
        let one = row.try_get::<Option<GrantId>, _>("grant_id")?.map(|grant_id| PaidShare { grant_id, amount });
        let several = row.try_get::<Option<Json<Vec<PaidShare>>>, _>("paid_by")?.map(|Json(shares)| shares);
        // Where somebody wrote both, both are read, and the seal does not fit.
        Ok(Self(one.into_iter().chain(several.into_iter().flatten()).collect()))
    }
}
