use chrono::{DateTime, TimeDelta, Utc};

/// How often every account is looked at: what was posted and is dated long before it was committed has its document then.
const ALL_EVERY: TimeDelta = TimeDelta::hours(1);
/// Postings are dated before they are committed, and by the clocks of several machines: a look goes so far back before the one before it began.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// When a process has looked for postings without a document, so that it does not look at every account each time. Whoever knows nothing of it looks at all
/// of them: several processes need not share it, and one that begins anew misses nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct DocumentLooks(Option<Looks>);

/// By Postgres' clock.
#[derive(Debug, Clone, Copy)]
struct Looks {
    /// When the newest look at every account began.
    all_at: DateTime<Utc>,
    /// When the newest look began.
    newest_at: DateTime<Utc>,
}

impl DocumentLooks {
    /// Since when the books of an account must have moved for it to be looked at now; `None` to look at every one: at first, each hour, and where the clock
    /// was set back.
    pub(super) fn since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let looks = self.0?;
        let is_recent = looks.newest_at <= now && now < looks.all_at + ALL_EVERY;
        is_recent.then(|| looks.newest_at - OVERLAP)
    }

    /// Notes a look that began now and found whatever there was.
    pub(super) fn note(&mut self, since: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let all_at = self.0.filter(|_| since.is_some()).map_or(now, |looks| looks.all_at);
        self.0 = Some(Looks { all_at, newest_at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_is_looked_at_at_first_each_hour_and_where_the_clock_was_set_back() {
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let mut looks = DocumentLooks::default();
        let mut look = |now| {
            let since = looks.since(at(now));
            looks.note(since, at(now));
            since
        };
        assert_eq!(look(100), None);
        assert_eq!(look(101), Some(at(90)));
        assert_eq!(look(159), Some(at(91)), "since the look before, however long ago");
        assert_eq!(look(160), None);
        assert_eq!(look(219), Some(at(150)), "the hour begins anew");
        assert_eq!(look(218), None, "the clock was set back");
        assert_eq!(look(219), Some(at(208)));
    }
}
