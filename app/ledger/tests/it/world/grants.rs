//! Credit beside the prepaid balance.

use chrono::TimeDelta;
use domain::{
    billing::GrantKind,
    credit::{Quantity, Unit},
    id::GrantId,
};
use ledger::NewGrant;

use super::{Customer, World, amount};

impl World {
    /// Promotional credit that expires in two weeks.
    pub(crate) async fn promo(&mut self, customer: Customer, credit: &str) -> GrantId {
        let new = self.grant(credit, "a promo");
        let id = new.id;
        self.ledger.system().operator().add_grant(customer.account, new).await.unwrap();
        id
    }

    /// A package of tokens that expires in two weeks.
    pub(crate) async fn package(&mut self, customer: Customer, tokens: i64, key: &str) -> GrantId {
        let quantity = Quantity::from_count(tokens);
        let new = NewGrant { kind: GrantKind::Package, unit: Unit::Tokens, quantity, ..self.grant("1", key) };
        let id = new.id;
        self.ledger.system().operator().add_grant(customer.account, new).await.unwrap();
        id
    }

    pub(crate) fn grant<'a>(&mut self, credit: &str, key: &'a str) -> NewGrant<'a> {
        NewGrant {
            id: GrantId::new(self.now, self.random()),
            kind: GrantKind::Promo,
            unit: Unit::Money,
            quantity: amount(credit).into(),
            models: None,
            starts_at: None,
            expires_at: Some(self.now + TimeDelta::days(14)),
            priority: 0,
            idempotency_key: key,
            memo: "welcome",
            actor: "test",
            now: self.now,
        }
    }
}
