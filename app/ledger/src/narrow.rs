//! The parameters by which a query of calls is narrowed to what a person chose to see. The queries' heads say which is which.
//!
//! Queries that read a log are planned each time (`persistent(false)`), for the account and the filter at hand. A plan that is kept is one for an average
//! account, which has few calls: it reads all those of an account that has many, and sorts them.

use domain::{
    attribution::Label,
    filter::{CallFilter, TagFilter},
    id::{KeyId, ProjectId},
};
use sqlx::{Postgres, postgres::PgArguments, query::Query};

type Narrowed<'q> = Query<'q, Postgres, PgArguments>;

/// Key, model, outcome, stream, project and client.
pub(crate) fn bind<'q>(query: Narrowed<'q>, filter: &CallFilter) -> Narrowed<'q> {
    query
        .bind(filter.key.map(KeyId::uuid))
        .bind(filter.model.clone())
        .bind(filter.outcome)
        .bind(filter.stream)
        .bind(filter.project.map(ProjectId::uuid))
        .bind(filter.client.clone())
}

/// What clients must have said of calls.
pub(crate) struct Said<'a> {
    filter: &'a CallFilter,
    /// The one thing by which the calls are found: `what` and `value` of the function `claim`.
    what: String,
    value: &'a Label,
}

impl<'a> Said<'a> {
    /// What is asked for that only the calls themselves say; `None` if nothing is. They are found by what the fewest calls have in common.
    pub(crate) fn of(filter: &'a CallFilter) -> Option<Self> {
        let CallFilter { end_user, session, tag, .. } = filter;
        let of_column = |what: &str, value: &'a Option<Label>| Some((what.to_owned(), value.as_ref()?));
        let of_tag = tag.as_ref().map(|TagFilter { name, value }| match value {
            Some(value) => (format!("tag {name}"), value),
            None => ("tag".to_owned(), name),
        });
        let (what, value) = of_column("session", session).or_else(|| of_column("end_user", end_user)).or(of_tag)?;
        Some(Self { filter, what, value })
    }

    /// The claim, then end user, session, and a tag's name and value.
    pub(crate) fn bind<'q>(self, query: Narrowed<'q>) -> Narrowed<'q> {
        let Self { filter: CallFilter { end_user, session, tag, .. }, what, value } = self;
        let tag = tag.as_ref();
        query
            .bind(what)
            .bind(value.clone())
            .bind(end_user.clone())
            .bind(session.clone())
            .bind(tag.map(|tag| tag.name.clone()))
            .bind(tag.and_then(|tag| tag.value.clone()))
    }
}
