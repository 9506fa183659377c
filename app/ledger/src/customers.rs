//! Customers, as operators see them.

use chrono::{DateTime, Utc};
use domain::{
    account::{AccountState, Customer},
    billing::Statement,
    customers::{CustomerFilter, CustomerKind, CustomerPage, CustomerPlace, CustomerSort, Mark},
    id::AccountId,
    money::Amount,
    period::Period,
};
use sqlx::{FromRow, Postgres, QueryBuilder};

use crate::{Error, JournalSlice, NewCustomer, Operator, Result, accounts, page::cut, statement};

impl Operator {
    /// A page of the customers that match, of so many at most. It begins after a place, so that the thousandth page costs what the first does.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn customers(
        &self,
        filter: &CustomerFilter,
        after: Option<&CustomerPlace>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<CustomerPage> {
        let mut query = listed(filter, after, limit.saturating_add(1), Period::Last30Days.range(now).from);
        let mut rows: Vec<Row> = query.build_query_as().fetch_all(&mut *self.database.read().await?).await?;
        let more = cut(&mut rows, limit);
        let customers: Vec<Customer> = rows.into_iter().map(Customer::from).collect();
        let next = customers.last().filter(|_| more).map(|customer| CustomerPlace::of(customer, filter.sort));
        Ok(CustomerPage { customers, next })
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn customer(&self, account: AccountId, now: DateTime<Utc>) -> Result<Customer> {
        let mut query = QueryBuilder::new(COLUMNS);
        query
            .push("(select account_id, name, status, created_at, null as mark from accounts where account_id = ")
            .push_bind(account.uuid());
        query.push(") a");
        push_particulars(&mut query, Period::Last30Days.range(now).from);
        let row: Option<Row> = query.build_query_as().fetch_optional(&mut *self.database.read().await?).await?;
        row.map(Customer::from).ok_or(Error::NotFound)
    }

    /// Opens an account with its first person, or does nothing at all.
    ///
    /// # Errors
    /// As [`crate::Ledger::sign_up`].
    pub async fn open_account(&self, new: NewCustomer) -> Result<()> {
        accounts::create(&self.database, new).await
    }

    /// Its credit and its postings, as [`crate::AccountReader::statement_of`].
    ///
    /// # Errors
    /// [`Error::NotFound`] when what they are to precede is no posting of the account.
    pub async fn customer_statement(&self, account: AccountId, slice: JournalSlice, now: DateTime<Utc>) -> Result<Statement> {
        statement::statement(&self.database, account, slice, now).await
    }
}

/// What is read of a customer.
#[derive(Debug, FromRow)]
struct Row {
    account_id: AccountId,
    name: String,
    status: AccountState,
    created_at: DateTime<Utc>,
    plan: Option<String>,
    owner_email: Option<String>,
    balance: Amount,
    reserved: Amount,
    spent: Amount,
    written_off: Amount,
}

impl From<Row> for Customer {
    fn from(row: Row) -> Self {
        Self {
            id: row.account_id,
            name: row.name,
            owner_email: row.owner_email,
            state: row.status,
            plan: row.plan,
            created_at: row.created_at,
            balance: row.balance,
            reserved: row.reserved,
            spent_30_days: row.spent,
            written_off_30_days: row.written_off,
        }
    }
}

const COLUMNS: &str = "select a.account_id, a.name, a.status, a.created_at, plan.name as plan, owner.email as owner_email, \
     coalesce(credit.balance, 0)::bigint as balance, coalesce(credit.reserved, 0)::bigint as reserved, \
     coalesce(spent.amount, 0)::bigint as spent, coalesce(spent.written_off, 0)::bigint as written_off from ";

/// What is listed of the few accounts of a page, account by account.
fn push_particulars(query: &mut QueryBuilder<Postgres>, since: DateTime<Utc>) {
    query.push(
        " left join lateral (
            select u.email from memberships m join users u using (user_id)
            where m.account_id = a.account_id and m.role = 'owner'
            order by m.created_at limit 1
        ) owner on true
        left join lateral (
            select p.name from subscriptions s join plans p using (plan_id) where s.account_id = a.account_id and s.ended_at is null
        ) plan on true
        left join lateral (
            select sum(granted - used) as balance, sum(leased) as reserved from grants g
            where g.account_id = a.account_id and g.unit = 'money'
        ) credit on true
        left join lateral (
            select sum(amount) as amount, sum(written_off) as written_off from usage_daily d
            where d.account_id = a.account_id and d.day >= ",
    );
    query.push_bind(since).push(") spent on true");
}

/// How an order is asked for: the expression, its direction, and how what comes later compares.
const fn order(sort: CustomerSort) -> (&'static str, &'static str, &'static str) {
    match sort {
        CustomerSort::Name => ("lower(c.name)", "asc", ">"),
        CustomerSort::Spend => ("coalesce(spent.amount, 0)", "desc", "<"),
        CustomerSort::Balance => ("coalesce(credit.balance, 0)", "asc", ">"),
        CustomerSort::Created => ("c.created_at", "desc", "<"),
    }
}

/// The accounts of a page are found first, by no more than their order and the filter take: what all have, or all spent, is summed only where that is asked for.
fn listed(filter: &CustomerFilter, after: Option<&CustomerPlace>, limit: i64, since: DateTime<Utc>) -> QueryBuilder<Postgres> {
    let CustomerFilter { search, only, sort } = filter;
    let (mark, direction, later) = order(*sort);
    let is_low = *only == CustomerKind::LowBalance;
    let mut query = QueryBuilder::new(COLUMNS);
    query.push("(select c.account_id, c.name, c.status, c.created_at, ").push(mark).push(" as mark from accounts c");
    if is_low || *sort == CustomerSort::Balance {
        query.push(
            " left join (select account_id, sum(granted - used) as balance from grants where unit = 'money' group by account_id) credit",
        );
        query.push(" using (account_id)");
    }
    if is_low || *sort == CustomerSort::Spend {
        query.push(" left join (select account_id, sum(amount) as amount from usage_daily where day >= ").push_bind(since);
        query.push(" group by account_id) spent using (account_id)");
    }
    query.push(" where true");
    match only {
        CustomerKind::All => &mut query,
        // Three days are a tenth of the thirty.
        CustomerKind::LowBalance => query.push(" and spent.amount > 0 and coalesce(credit.balance, 0) * 10 < spent.amount"),
        CustomerKind::Suspended => query.push(" and c.status = 'suspended'"),
        CustomerKind::Closed => query.push(" and c.status = 'closed'"),
        CustomerKind::OnPlan => {
            query.push(" and exists (select from subscriptions s where s.account_id = c.account_id and s.ended_at is null)")
        }
    };
    if !search.is_empty() {
        let pattern = like(search);
        query.push(" and (c.name ilike ").push_bind(pattern.clone());
        // To write out every id takes a third of the search, and what has another letter is in none.
        if search.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-') {
            query.push(" or c.account_id::text ilike ").push_bind(pattern.clone());
        }
        query.push(" or c.account_id in (select m.account_id from memberships m join users u using (user_id) where m.role = 'owner'");
        query.push(" and u.email ilike ").push_bind(pattern).push("))");
    }
    if let Some(CustomerPlace { id, mark: place }) = after {
        query.push(" and (").push(mark).push(", c.account_id) ").push(later).push(" (");
        match place {
            Mark::Name(name) => query.push("lower(").push_bind(name.clone()).push(")"),
            Mark::Number(nanos) => query.push_bind(*nanos),
            Mark::Instant(at) => query.push_bind(*at),
        };
        query.push(", ").push_bind(id.uuid()).push(")");
    }
    let by = |query: &mut QueryBuilder<Postgres>, mark: &str, id: &str| {
        query.push(" order by ").push(mark).push(" ").push(direction).push(", ").push(id).push(" ").push(direction);
    };
    by(&mut query, mark, "c.account_id");
    query.push(" limit ").push_bind(limit).push(") a");
    push_particulars(&mut query, since);
    by(&mut query, "a.mark", "a.account_id");
    query
}

/// A pattern that matches the text itself anywhere: what a person types is no wildcard.
pub(crate) fn like(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_is_no_wildcard() {
        assert_eq!(like(r"50%_\"), r"%50\%\_\\%");
    }
}
