//! Customers, their keys and their money.

use domain::{
    billing::Balance,
    id::{AccountId, GrantId, KeyId, ProjectId, UserId},
    key::ApiKey,
    money::Amount,
};
use ledger::{CallCredit, MoneyIn, NewCustomer, NewKey};

use super::{World, amount};

pub(crate) const PASSWORD: &str = "correct horse";

#[derive(Clone, Copy)]
pub(crate) struct Customer {
    pub(crate) user: UserId,
    pub(crate) account: AccountId,
    pub(crate) key: KeyId,
}

impl World {
    pub(crate) async fn customer(&mut self, name: &str, credit: &str) -> Customer {
        let new = NewCustomer {
            account_id: AccountId::new(self.now, self.random()),
            account_name: name.to_owned(),
            grant_id: GrantId::new(self.now, self.random()),
            user_id: UserId::new(self.now, self.random()),
            email: format!("{name}@example.com"),
            password: PASSWORD.to_owned(),
            is_demo: false,
            now: self.now,
        };
        let customer = Customer { user: new.user_id, account: new.account_id, key: KeyId::new(self.now, self.random()) };
        self.ledger.sign_up(new).await.unwrap();
        let owner = self.ledger.owner(customer.user).await.unwrap();
        let secret = self.secret();
        let new_key = NewKey { id: customer.key, ..self.new_key(customer, &secret, "first") };
        owner.create_key(new_key).await.unwrap();
        if amount(credit) > Amount::ZERO {
            owner.top_up(self.money(credit, &format!("opening of {name}"))).await.unwrap();
        }
        customer
    }

    pub(crate) fn secret(&mut self) -> ApiKey {
        let mut bits = [0; 20];
        bits[..10].copy_from_slice(&self.random());
        ApiKey::from_random(bits)
    }

    /// A key of a customer's first project.
    pub(crate) fn new_key<'a>(&mut self, customer: Customer, secret: &'a ApiKey, name: &'a str) -> NewKey<'a> {
        let (id, project) = (KeyId::new(self.now, self.random()), ProjectId::first_of(customer.account));
        NewKey { id, secret, name, project, member: Some(customer.user), models: None, expires_at: None, now: self.now }
    }

    pub(crate) fn money<'a>(&mut self, text: &str, key: &'a str) -> MoneyIn<'a> {
        MoneyIn { amount: amount(text), idempotency_key: key, memo: "test", actor: "test", now: self.now }
    }

    /// So much of a call, or all of it.
    pub(crate) fn give_back<'a>(&mut self, text: Option<&str>, key: &'a str) -> CallCredit<'a> {
        CallCredit { amount: text.map(amount), idempotency_key: key, memo: "test", actor: "test" }
    }

    pub(crate) async fn balance(&self, customer: Customer) -> Balance {
        self.ledger.reader(customer.user).await.unwrap().balance(self.now).await.unwrap()
    }
}
