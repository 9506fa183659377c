//! Limits that an account sets itself.

use domain::{
    attribution::Label,
    credit::{Hardness, Quantity, Scope, Unit, Window},
    id::LimitId,
};
use ledger::NewLimit;

use super::Walk;

impl Walk {
    pub(super) async fn change_limits(&mut self, of: usize) {
        let member = self.ledger().owner(self.customers[of].user).await.unwrap();
        let own: Vec<_> = self.limits.iter().filter(|(owner, _)| *owner == of).map(|(_, id)| *id).collect();
        if let (true, Some(id)) = (self.dice.below(3) == 0, self.dice.pick(&own)) {
            member.remove_limit(id).await.unwrap();
            self.limits.retain(|(_, other)| *other != id);
            return;
        }
        let unit = Unit::ALL[self.dice.below(3)];
        let most = if unit == Unit::Requests { 40 } else { 4_000_000_000 };
        let new = NewLimit {
            id: LimitId::new(self.world.now, self.world.random()),
            scope: match self.dice.below(5) {
                0 => Scope::Account,
                1 => Scope::Project(self.projects[of][self.dice.below(2)]),
                2 => Scope::Member(self.customers[of].user),
                3 => Scope::Key(self.customers[of].key),
                _ => Scope::Run(run(1)),
            },
            window: Window::ALL[self.dice.below(5)],
            unit,
            hardness: if self.dice.below(4) == 0 { Hardness::Soft } else { Hardness::Hard },
            capacity: Quantity::from_count(self.dice.between(0, most)),
        };
        let id = member.set_limit(&new).await.unwrap();
        self.limits.retain(|(_, other)| *other != id);
        self.limits.push((of, id));
    }
}

pub(super) fn run(number: u8) -> Label {
    format!("run {number}").parse().unwrap()
}
