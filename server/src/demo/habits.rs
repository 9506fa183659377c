//! What the programs of the demo's first customer say of their calls.

use chrono::{DateTime, Timelike, Utc};
use domain::attribution::{Attribution, Label, TagError};

use super::dice::Dice;

const PYTHON: &str = "OpenAI/Python 1";
const JS: &str = "OpenAI/JS 4";
const CURL: &str = "curl 8";

/// How often each of a key's two clients calls with it.
const CLIENT_WEIGHTS: [i64; 2] = [6, 1];
/// People whom the calls are made for.
const END_USERS: i64 = 40;

/// How the programs behind a key call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// What they are made with: the usual one, and another.
    clients: [&'static str; 2],
    /// Whose they are.
    teams: &'static [&'static str],
    /// Where they run, if anybody says.
    environment: Option<&'static str>,
    /// Whether they work in runs, each an hour long.
    works_in_runs: bool,
}

impl Habits {
    /// What people use.
    pub(super) const PRODUCTION: Self =
        Self { clients: [PYTHON, JS], teams: &["search", "support"], environment: Some("production"), works_in_runs: false };
    /// What is tried before people use it.
    pub(super) const STAGING: Self =
        Self { clients: [JS, PYTHON], teams: &["search", "support"], environment: Some("staging"), works_in_runs: true };
    /// What somebody types.
    pub(super) const NOTEBOOKS: Self = Self { clients: [CURL, PYTHON], teams: &["research"], environment: None, works_in_runs: false };

    /// What is said of a call that begins at this instant. Half of the programs have not learnt to say for whom they call.
    pub(super) fn attribution(self, start: DateTime<Utc>, dice: &mut Dice) -> Result<Attribution, TagError> {
        let client = self.clients[dice.weighted(CLIENT_WEIGHTS)];
        let run = self.works_in_runs.then(|| format!("run-{}-{:02}", start.date_naive(), start.hour()));
        let mut attribution =
            Attribution { client: Label::clipped(client), session: run.as_deref().and_then(Label::clipped), ..Attribution::default() };
        if dice.per_mille(500) {
            // Some people ask more than others.
            let most = dice.between(1, END_USERS);
            attribution.end_user = Label::clipped(&format!("user-{}", dice.between(1, most)));
            attribution.tags.insert("team", self.teams[dice.below(self.teams.len())])?;
            if let Some(environment) = self.environment {
                attribution.tags.insert("env", environment)?;
            }
        }
        Ok(attribution)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use chrono::TimeDelta;

    use super::*;

    /// What is said of calls a minute apart.
    fn said(habits: Habits, calls: i32) -> Vec<Attribution> {
        let mut dice = Dice::new(1);
        (0..calls).map(|minute| habits.attribution(DateTime::UNIX_EPOCH + TimeDelta::minutes(minute.into()), &mut dice).unwrap()).collect()
    }

    #[test]
    fn half_of_the_calls_are_for_somebody_and_bear_tags() {
        let said = said(Habits::PRODUCTION, 1_000);
        let for_somebody: Vec<_> = said.iter().filter(|said| said.end_user.is_some()).collect();
        assert!((400..600).contains(&for_somebody.len()), "{}", for_somebody.len());
        let tag = |said: &Attribution, name: &str| said.tags.get(name).map(|value| value.as_str().to_owned());
        assert!(for_somebody.iter().all(|said| tag(said, "env").as_deref() == Some("production")));
        let teams: BTreeSet<_> = for_somebody.iter().filter_map(|said| tag(said, "team")).collect();
        assert_eq!(teams.into_iter().collect::<Vec<_>>(), ["search", "support"]);
        assert!(said.iter().all(|said| said.client.is_some() && said.session.is_none()));
        assert!(said.iter().all(|said| said.end_user.is_some() != said.tags.is_empty()));
    }

    #[test]
    fn a_run_has_the_calls_of_its_hour() {
        let runs: Vec<_> = said(Habits::STAGING, 120).into_iter().map(|said| said.session.unwrap().to_string()).collect();
        assert!(runs[..60].iter().all(|run| run == "run-1970-01-01-00") && runs[60..].iter().all(|run| run == "run-1970-01-01-01"));
    }
}
