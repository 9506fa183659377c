//! An account as it is.

use chrono::{DateTime, Utc};
use domain::{
    account::{Key, Project},
    billing::Balance,
    credit::CreditLine,
    key::masked,
};
use ledger::AccountSummary;
use serde_json::{Value, json};

use super::{
    find,
    line::{grace_of, line_json, terms},
};
use crate::{
    cli::Output,
    commands::{grant, table},
    config::Config,
    database::with_ledger,
};

pub(super) async fn show(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let (account, balance, lent, keys, projects) = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        let reader = ledger.system().account(account.id);
        let balance = reader.balance(now).await?;
        let lent = (reader.credit_line().await?, reader.next_grace(now).await?);
        Ok((account, balance, lent, reader.keys(now).await?, reader.projects().await?))
    })
    .await?;
    let value = json!({
        "account": account, "balance": balance_json(&balance), "credit_line": line_json(&lent.0), "next_grace": lent.1, "keys": keys, "projects": projects,
    });
    output.print(&value, || format!("{}\n\n{}", describe(&account, &balance, &lent, now), key_table(&keys, &projects, now)))
}

fn balance_json(balance: &Balance) -> Value {
    // The terms are the credit line's to say.
    let Balance { balance, reserved, available, lent, excess: _, mode: _, grants } = balance;
    json!({ "balance": balance, "reserved": reserved, "available": available, "lent": lent, "grants": grants.iter().map(grant::json).collect::<Vec<_>>() })
}

fn describe(
    account: &AccountSummary,
    balance: &Balance,
    (line, next_grace): &(CreditLine, Option<DateTime<Utc>>),
    now: DateTime<Utc>,
) -> String {
    table(
        [&account.name, ""],
        [
            ["id".to_owned(), account.id.to_string()],
            ["owner".to_owned(), account.owner_email.clone().unwrap_or_default()],
            ["state".to_owned(), account.state.name().to_owned()],
            ["balance".to_owned(), balance.balance.to_string()],
            ["reserved".to_owned(), balance.reserved.to_string()],
            ["available".to_owned(), balance.available.to_string()],
            ["tokens".to_owned(), tokens(balance)],
            ["mode".to_owned(), line.mode().name().to_owned()],
            ["credit line".to_owned(), line.amount.to_string()],
            ["grace".to_owned(), grace_of(line, now)],
            ["next grace".to_owned(), next_grace.map_or_else(|| "at any time".to_owned(), |next| format!("from {next} on"))],
            ["terms".to_owned(), terms(line.excess).to_owned()],
        ],
    )
}

/// What is left in tokens, grant by grant.
fn tokens(balance: &Balance) -> String {
    let left: Vec<_> = balance.in_tokens().map(|grant| grant.balance.in_words(grant.unit)).collect();
    if left.is_empty() { "none".to_owned() } else { left.join(", ") }
}

fn key_table(keys: &[Key], projects: &[Project], now: DateTime<Utc>) -> String {
    let rows = keys.iter().map(|key| {
        let project = projects.iter().find(|project| project.id == key.project).map(|project| project.name.clone());
        let state = if key.works_at(now) { "works" } else { "ended" };
        [
            key.name.clone(),
            masked(&key.last_four),
            key.member_email.clone().unwrap_or_default(),
            project.unwrap_or_default(),
            state.to_owned(),
            key.models.as_ref().map_or_else(|| "every".to_owned(), |models| models.join(", ")),
            if key.tells_cost { "told" } else { "" }.to_owned(),
            key.spent_this_month.to_string(),
            key.id.to_string(),
        ]
    });
    table(["KEY", "", "MEMBER", "PROJECT", "STATE", "MODELS", "COST IN ANSWERS", "SPENT THIS MONTH", "ID"], rows)
}
