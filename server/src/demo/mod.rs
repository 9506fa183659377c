//! Demo mode: everything that one needs to look around without a provider, a customer or a payment.
//!
//! Filling the database can be interrupted at any point and goes on at the next start: ids and figures come from fixed seeds and from the
//! instant that `demo.json` remembers, so repeating a step changes nothing. The operator is made last and stands for "complete".

mod answer;
mod catalog;
mod dice;
mod habits;
mod history;
mod people;
mod upstream;

use std::path::Path;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use ledger::{Inhabitants, Ledger};

use self::{dice::Dice, people::Remembered};
pub(crate) use self::{people::SignIns, upstream::Upstream};

/// What every figure of the demo grows from.
const SEED: u64 = 20_260_101;

/// Fills the database if that is still to do, and points the demo's provider to where the upstream listens now.
pub(crate) async fn prepare(ledger: &Ledger, data_dir: &Path, upstream: &Upstream, now: DateTime<Utc>) -> anyhow::Result<SignIns> {
    let mut remembered = Remembered::load(data_dir, now)?;
    if people::are_complete(ledger, &remembered).await? {
        ledger.system().set_provider_url(catalog::PROVIDER, &upstream.base_url()).await?;
    } else {
        let mut dice = Dice::new(SEED);
        let models = catalog::write(ledger, &upstream.base_url(), remembered.begun_at, &mut dice).await?;
        let customers = people::make_customers(ledger, &remembered, &mut dice).await?;
        people::say_who_sells(ledger, remembered.begun_at).await?;
        history::write(ledger, &customers, &models, remembered.begun_at, &mut dice).await.context("demo history")?;
        people::make_operator(ledger, &remembered, &mut dice).await?;
    }
    people::see_to_access(ledger, &mut remembered, data_dir, now).await?;
    Ok(remembered.sign_ins)
}

/// Test payments and made-up history have no place among real money, nor a demo's credit before a real provider.
pub(crate) async fn refuse_a_mixture(ledger: &Ledger, is_demo: bool) -> anyhow::Result<()> {
    const ELSEWHERE: &str = "choose another --data-dir or --database-url";
    let system = ledger.system();
    let Inhabitants { users, accounts, demo_accounts } = system.inhabitants().await?;
    if !is_demo {
        ensure!(
            demo_accounts == 0,
            "this database holds a demo, whose customers and money are made up: serve it with --demo, or {ELSEWHERE}"
        );
        return Ok(());
    }
    // The demo's customers come before its operator: whoever is there without them is real.
    let is_real =
        accounts > 0 || (users > 0 && demo_accounts == 0) || system.providers().await?.iter().any(|it| it.name != catalog::PROVIDER);
    ensure!(!is_real, "--demo refuses this database, because it holds real accounts, operators or providers: {ELSEWHERE}");
    Ok(())
}
