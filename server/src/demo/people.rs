//! The demo's people, their passwords and their keys.

use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, SubsecRound, Utc};
use domain::{
    document::TaxRate,
    id::{AccountId, GrantId, KeyId, ProjectId, UserId},
    key::ApiKey,
    period::start_of,
};
use ledger::{AccountOwner, Error, Ledger, NewCustomer, NewKey, NewOperator, NewProject, NewSeller, keys::digest};
use serde::{Deserialize, Serialize};

use super::{dice::Dice, habits::Habits, history::first_day};
use crate::{config::hex, console::DemoSignIns, files};

/// In the data folder.
const FILE: &str = "demo.json";

/// Who can sign in, and with which key they can call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignIns {
    /// The customer that the start-up output speaks of.
    pub(crate) customer: SignIn,
    /// Another one, who must see nothing of the first.
    pub(crate) second_customer: SignIn,
    /// Who runs the gateway.
    pub(crate) operator: SignIn,
}

impl SignIns {
    /// What the console offers to those who come to look around.
    pub(crate) fn on_the_sign_in_page(&self) -> DemoSignIns {
        let pair = |sign_in: &SignIn| (sign_in.email.clone(), sign_in.password.clone());
        DemoSignIns { customer: pair(&self.customer), operator: pair(&self.operator) }
    }
}

/// One person's access.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignIn {
    /// Their address.
    pub(crate) email: String,
    /// Their password.
    pub(crate) password: String,
    /// An API key of their account; operators have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// What stays the same from start to start: `demo.json` in the data folder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Where the history ends.
    pub(super) begun_at: DateTime<Utc>,
    /// Random, for the console may listen to a network.
    pub(super) sign_ins: SignIns,
}

impl Remembered {
    /// Reads the file; makes it at the first start.
    pub(super) fn load(data_dir: &Path, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE);
        let sign_in = |email: &str, key: Option<ApiKey>| SignIn {
            email: email.to_owned(),
            password: hex(&rand::random::<[u8; 8]>()),
            key: key.map(|key| key.expose().to_owned()),
        };
        let fresh = || Self {
            begun_at: now.trunc_subsecs(0),
            sign_ins: SignIns {
                customer: sign_in("customer@demo.example", Some(ApiKey::from_random(rand::random()))),
                second_customer: sign_in("second@demo.example", Some(ApiKey::from_random(rand::random()))),
                operator: sign_in("operator@demo.example", None),
            },
        };
        let text = files::read_or_write_once(&path, || serde_json::to_string_pretty(&fresh()).unwrap_or_default());
        let text = text.with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    fn sign_ins_mut(&mut self) -> [&mut SignIn; 3] {
        [&mut self.sign_ins.customer, &mut self.sign_ins.second_customer, &mut self.sign_ins.operator]
    }
}

/// A customer whose history is written.
#[derive(Debug)]
pub(super) struct DemoCustomer {
    /// The account.
    pub(super) id: AccountId,
    /// Its keys, the busiest first.
    pub(super) keys: Vec<DemoKey>,
}

/// A key whose history is written.
#[derive(Debug)]
pub(super) struct DemoKey {
    /// The key.
    pub(super) id: KeyId,
    /// The project that it is in.
    pub(super) project: ProjectId,
    /// What is said of its calls, if anything.
    pub(super) habits: Option<Habits>,
}

/// A key to be made.
struct KeyPlan {
    name: &'static str,
    /// The project that is made for it; without one it is in the account's first.
    project: Option<&'static str>,
    habits: Option<Habits>,
}

impl KeyPlan {
    /// One in the first project, of whose calls nothing is said.
    const fn silent(name: &'static str) -> Self {
        Self { name, project: None, habits: None }
    }
}

/// Names of accounts, and their keys. The first key of each is the one whose secret is shown.
const CUSTOMERS: [(&str, &[KeyPlan]); 2] = [
    (
        "Demo Customer",
        &[
            KeyPlan { habits: Some(Habits::PRODUCTION), ..KeyPlan::silent("production") },
            KeyPlan { habits: Some(Habits::STAGING), ..KeyPlan::silent("staging") },
            KeyPlan { name: "notebooks", project: Some("Research"), habits: Some(Habits::NOTEBOOKS) },
        ],
    ),
    ("Second Demo Customer", &[KeyPlan::silent("production"), KeyPlan::silent("nightly batch")]),
];

/// Whether an earlier start got to its end.
pub(super) async fn are_complete(ledger: &Ledger, remembered: &Remembered) -> anyhow::Result<bool> {
    let operator = &remembered.sign_ins.operator;
    match ledger.authenticate(&operator.email, &operator.password).await {
        Ok(_) => Ok(true),
        // Without `demo.json` of the first start, the passwords are others: they are set below. No such person at all is another matter.
        Err(Error::BadCredentials) => match ledger.system().set_password(&operator.email, operator.password.clone()).await {
            Ok(()) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Makes the accounts with their owners, projects and keys, as of the history's first day.
pub(super) async fn make_customers(ledger: &Ledger, remembered: &Remembered, dice: &mut Dice) -> anyhow::Result<Vec<DemoCustomer>> {
    let since = start_of(first_day(remembered.begun_at));
    let sign_ins = [&remembered.sign_ins.customer, &remembered.sign_ins.second_customer];
    let mut customers = Vec::new();
    for ((name, plans), sign_in) in CUSTOMERS.into_iter().zip(sign_ins) {
        let new = NewCustomer {
            account_id: AccountId::new(since, dice.id_bits()),
            account_name: name.to_owned(),
            grant_id: GrantId::new(since, dice.id_bits()),
            user_id: UserId::new(since, dice.id_bits()),
            email: sign_in.email.clone(),
            password: sign_in.password.clone(),
            is_demo: true,
            now: since,
        };
        let id = new.account_id;
        unless_there(ledger.system().create_account(new).await)?;
        let owner = ledger.system().account(id);
        let mut keys = Vec::new();
        for (place, plan) in plans.iter().enumerate() {
            let shown = sign_in.key.as_deref().filter(|_| place == 0).map(ApiKey::parse).transpose()?;
            // Nobody has the others' secrets; they are there for their history.
            let secret = shown.unwrap_or_else(|| ApiKey::from_random(rand::random()));
            let project = match plan.project {
                Some(name) => make_project(&owner, name, since, dice).await?,
                None => ProjectId::first_of(id),
            };
            let key = KeyId::new(since, dice.id_bits());
            let new =
                NewKey { id: key, secret: &secret, name: plan.name, project, member: None, models: None, expires_at: None, now: since };
            unless_there(owner.create_key(new).await)?;
            keys.push(DemoKey { id: key, project, habits: plan.habits });
        }
        customers.push(DemoCustomer { id, keys });
    }
    Ok(customers)
}

/// Whom receipts and invoices name.
pub(super) async fn say_who_sells(ledger: &Ledger, now: DateTime<Utc>) -> anyhow::Result<()> {
    let seller = NewSeller {
        name: "Demo Gateway Ltd",
        address: "1 Example Street, London N1 7AA, United Kingdom",
        tax_id: "GB 000 0000 00",
        tax_label: "VAT",
        tax_rate: TaxRate::from_bps(2_000).context("a rate")?,
        prefix: "",
        actor: "demo",
        now,
    };
    ledger.system().operator().set_seller(seller).await?;
    Ok(())
}

async fn make_project(owner: &AccountOwner, name: &str, now: DateTime<Utc>, dice: &mut Dice) -> anyhow::Result<ProjectId> {
    let id = ProjectId::new(now, dice.id_bits());
    unless_there(owner.add_project(NewProject { id, name, now }).await)?;
    Ok(id)
}

/// Makes the operator: the last step.
pub(super) async fn make_operator(ledger: &Ledger, remembered: &Remembered, dice: &mut Dice) -> anyhow::Result<()> {
    let SignIn { email, password, .. } = remembered.sign_ins.operator.clone();
    let now = remembered.begun_at;
    unless_there(ledger.system().create_operator(NewOperator { user_id: UserId::new(now, dice.id_bits()), email, password, now }).await)
}

/// Makes what `demo.json` says true, in case it is younger than the database or somebody changed a password. A revoked key stays revoked: there
/// `demo.json` gets another.
pub(super) async fn see_to_access(ledger: &Ledger, remembered: &mut Remembered, data_dir: &Path, now: DateTime<Utc>) -> anyhow::Result<()> {
    let system = ledger.system();
    let mut has_new_keys = false;
    for sign_in in remembered.sign_ins_mut() {
        match ledger.authenticate(&sign_in.email, &sign_in.password).await {
            Err(Error::BadCredentials) => system.set_password(&sign_in.email, sign_in.password.clone()).await?,
            authenticated => drop(authenticated?),
        }
        let Some(mut secret) = sign_in.key.as_deref().map(ApiKey::parse).transpose()? else { continue };
        let entry = ledger.meter().key(&digest(&secret)).await?;
        if entry.as_ref().is_some_and(|entry| entry.works_at(now)) {
            continue;
        }
        if entry.is_some() {
            secret = ApiKey::from_random(rand::random());
            sign_in.key = Some(secret.expose().to_owned());
            has_new_keys = true;
        }
        let account = system.find_account(&sign_in.email).await?;
        let (id, project) = (KeyId::new(now, rand::random()), ProjectId::first_of(account.id));
        let new = NewKey { id, secret: &secret, name: "demo", project, member: None, models: None, expires_at: None, now };
        system.account(account.id).create_key(new).await?;
    }
    if !has_new_keys {
        return Ok(());
    }
    let path = data_dir.join(FILE);
    files::replace(&path, serde_json::to_string_pretty(remembered)?.as_bytes()).with_context(|| path.display().to_string())
}

/// A step that an interrupted start had already done.
pub(super) fn unless_there(done: ledger::Result<()>) -> anyhow::Result<()> {
    match done {
        Err(Error::Taken(_) | Error::EmailTaken) => Ok(()),
        done => Ok(done?),
    }
}
