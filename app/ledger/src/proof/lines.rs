//! What must hold of what is lent to an account.

use chrono::{DateTime, Utc};
use domain::{credit, id::AccountId, money::Amount, month::CalendarMonth};
use sqlx::PgConnection;

use super::claim::{Claim, Findings};
use crate::{Result, credit_lines, settled::CallRecord};

/// What was ever lent to an account.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The most, in nanos.
    pub(super) lent_max: i128,
    /// Since when it may owe more than that: from its first lenient terms on.
    lenient_since: Option<DateTime<Utc>>,
}

impl Lines {
    /// Checks every setting of an account.
    pub(super) async fn check(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<Self> {
        let mut lines = Self::default();
        let settings = credit_lines::of_account(connection, account).await?;
        graces(account, credit::graces_begun(settings.iter().map(|(set, _)| (set.set_at, set.line.grace))), findings);
        for (set, seal) in settings {
            findings.sealed(Claim::LineIsSealed, || format!("credit line of account {account} since {}", set.set_at), set.fits(&seal));
            let grace = set.line.grace.map_or(Amount::ZERO, |grace| grace.amount);
            lines.lent_max = lines.lent_max.max(i128::from(set.line.amount.nanos()) + i128::from(grace.nanos()));
            if set.line.excess.is_charged() {
                lines.lenient_since = lines.lenient_since.or(Some(set.set_at));
            }
        }
        Ok(lines)
    }

    /// Whether it ever was lenient.
    pub(super) const fn was_lenient(&self) -> bool {
        self.lenient_since.is_some()
    }

    /// A call on lenient terms is of an account that had them.
    pub(super) fn look_at(&self, call: &CallRecord, findings: &mut Findings) {
        let had_them = self.lenient_since.is_some_and(|since| since <= call.posted_at);
        if call.is_lenient && !had_them {
            findings.note(Claim::CallIsOnItsTerms, format!("call {}", call.call_id), "strict terms", "lenient ones");
        }
    }
}

/// Of these instants, at which a grace began, no two are of one calendar month, UTC: what was lent for a while, ended and lent again would be a credit line
/// that nobody set.
fn graces(account: AccountId, begun: impl Iterator<Item = DateTime<Utc>>, findings: &mut Findings) {
    let mut last = None;
    for at in begun {
        let month = CalendarMonth::of(at);
        if last.replace(month) == Some(month) {
            let row = format!("credit line of account {account} since {at}");
            findings.note(Claim::GraceBeginsOnceAMonth, row, "no other grace since the month began", "a second one");
        }
    }
}
