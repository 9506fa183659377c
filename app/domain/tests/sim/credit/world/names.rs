//! The world's numbers as the names that the code under test knows.

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    credit::{Caller, Demand, PoolRef},
    id::{GrantId, KeyId, LimitId, ProjectId, UserId},
    money::Amount,
    tokens::Tokens,
};
use uuid::Uuid;

use crate::credit::book::{Place, Question, Who};

pub(super) fn uuid(number: usize) -> Uuid {
    Uuid::from_u128(u128::MAX - number as u128)
}

/// Later ones have lower ids, so that the order of ids is not the one in which they are read.
pub(super) fn grant_id(number: usize) -> GrantId {
    GrantId::from_uuid(uuid(number))
}

fn number(uuid: Uuid) -> usize {
    usize::try_from(u128::MAX - uuid.as_u128()).unwrap_or(usize::MAX)
}

pub(super) fn limit_number(id: LimitId) -> usize {
    number(id.uuid())
}

pub(super) fn place(pool: PoolRef) -> Place {
    match pool {
        PoolRef::Grant(id) => Place::Grant(number(id.uuid())),
        PoolRef::Limit { id, from } => Place::Window(limit_number(id), from.timestamp()),
    }
}

pub(super) fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

pub(super) fn model(number: usize) -> String {
    format!("m{number}")
}

pub(super) fn run(number: usize) -> Label {
    format!("run {number}").parse().unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn of_whom(number: usize) -> Who {
    [
        Who::Account,
        Who::Account,
        Who::Project(0),
        Who::Project(1),
        Who::Member(0),
        Who::Member(1),
        Who::Key(0),
        Who::Key(1),
        Who::Key(2),
        Who::Run(0),
        Who::Run(1),
    ][number % 11]
}

pub(super) fn demand(question: &Question) -> Demand {
    Demand {
        money: Amount::from_nanos(question.money),
        tokens: Tokens::from_sum(question.tokens),
        requests: u32::try_from(question.requests).unwrap_or_default(),
    }
}

pub(super) fn caller(question: &Question) -> Caller {
    Caller {
        key: KeyId::from_uuid(uuid(question.key)),
        project: ProjectId::from_uuid(uuid(question.project)),
        member: question.member.map(|number| UserId::from_uuid(uuid(number))),
        run: question.run.map(run),
    }
}
