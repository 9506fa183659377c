//! `farebox payments`: what customers pay through a provider or by bank transfer, and what an operator must look at of it.

use clap::{Args, Subcommand, builder::FalseyValueParser};
use domain::{
    id::PaymentId,
    money::Amount,
    payment::{Payment, Provider, StrayPayment},
};
use ledger::{NewReturn, PaymentCredit, Returned, SentBack};
use serde_json::{Value, json};

use super::{ACTOR, table};
use crate::{cli::Output, config::Config, database::with_ledger};

/// As many as a list shows.
const LISTED_MAX: i64 = 1_000;

/// What customers pay through a provider or by bank transfer.
#[derive(Debug, Args)]
pub(crate) struct PaymentsArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List payments that somebody must look at, newest first: paid and not credited, or with something that cannot be posted
    List {
        /// List every payment
        #[arg(long, env = "FAREBOX_PAYMENTS_ALL", value_parser = FalseyValueParser::new())]
        all: bool,
    },
    /// Credit a payment that is held, once
    Credit {
        /// Its id, as `farebox payments list` shows it
        payment: PaymentId,
        /// Why, for the customer's books
        #[arg(long, env = "FAREBOX_PAYMENTS_REASON", value_name = "TEXT")]
        reason: String,
        /// How much, in currency units [default: what was to be paid]
        #[arg(long, env = "FAREBOX_PAYMENTS_AMOUNT", value_name = "AMOUNT")]
        amount: Option<Amount>,
    },
    /// Note what went back of a bank transfer, which takes it out of the balance; what the bank calls the same is noted once
    Return {
        /// What had come in: what the bank calls it, or its id, as `farebox payments list` shows it
        payment: String,
        /// What the bank's statement calls what went back
        reference: String,
        /// Why, for the customer's books
        #[arg(long, env = "FAREBOX_PAYMENTS_REASON", value_name = "TEXT")]
        reason: String,
        /// How much, in currency units [default: all that is left of it]
        #[arg(long, env = "FAREBOX_PAYMENTS_AMOUNT", value_name = "AMOUNT")]
        amount: Option<Amount>,
        /// The bank took it back by itself, as where its payer recalled it: noted also where it is spent, and the balance is below zero then
        #[arg(long, env = "FAREBOX_PAYMENTS_BY_BANK", value_parser = FalseyValueParser::new())]
        by_bank: bool,
    },
    /// Take a payment off the list: what is held is never credited then, as after it was paid back by hand
    Dismiss {
        /// Its id, as `farebox payments list` shows it; Stripe's own of what is no payment of ours
        payment: String,
        /// Why, for the audit log
        #[arg(long, env = "FAREBOX_PAYMENTS_REASON", value_name = "TEXT")]
        reason: String,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: PaymentsArgs, config: &Config) -> anyhow::Result<()> {
    let output = args.output;
    match args.action {
        Action::List { all } => {
            let (payments, strays) = with_ledger(config, async |ledger| {
                let operator = ledger.system().operator();
                Ok((operator.payments(all, LISTED_MAX).await?, operator.stray_payments(LISTED_MAX).await?))
            })
            .await?;
            let all_of_it: Vec<Value> = payments.iter().map(|payment| json!(payment)).chain(strays.iter().map(stray)).collect();
            output.print(&all_of_it, || list(&payments, &strays, all))
        }
        Action::Credit { payment, reason, amount } => {
            let posting = with_ledger(config, async |ledger| {
                let operator = ledger.system().operator();
                let seen = operator.payment(payment).await?.payment.problem.unwrap_or_default();
                let credit = PaymentCredit { amount, reason: &reason, seen: &seen, actor: ACTOR };
                Ok(operator.credit_payment(payment, credit).await?)
            })
            .await?;
            output.print(&json!({ "payment": payment, "posting": posting }), || format!("Credited payment {payment}: posting {posting}."))
        }
        Action::Return { payment, reference, reason, amount, by_bank } => {
            let by = if by_bank { SentBack::ByTheBank } else { SentBack::ByUs };
            let (payment, Returned { amount, is_new }) = with_ledger(config, async |ledger| {
                let operator = ledger.system().operator();
                let payment = match payment.parse::<PaymentId>() {
                    Ok(id) => id,
                    Err(_) => operator.transfer_called(&payment).await?,
                };
                let new = NewReturn { payment, reference: &reference, amount, by, reason: &reason, actor: ACTOR };
                Ok((payment, operator.return_transfer(new).await?))
            })
            .await?;
            let value = json!({ "payment": payment, "reference": reference.trim(), "amount": amount, "replayed": !is_new });
            output.print(&value, || {
                let done = if is_new { "is out of the balance" } else { "was noted before; nothing was done" };
                format!("What went back of payment {payment}, {amount}, {done}.")
            })
        }
        Action::Dismiss { payment, reason } => {
            with_ledger(config, async |ledger| {
                let operator = ledger.system().operator();
                match payment.parse::<PaymentId>() {
                    Ok(payment) => {
                        let seen = operator.payment(payment).await?.payment.problem.unwrap_or_default();
                        Ok(operator.dismiss_payment(payment, &seen, &reason).await?)
                    }
                    Err(_) => Ok(operator.dismiss_stray(&payment, &reason).await?),
                }
            })
            .await?;
            output.print(&json!({ "payment": payment, "dismissed": true }), || format!("Payment {payment} needs nothing more."))
        }
    }
}

/// What is to be looked at of something that was paid and is nobody's.
const NOBODYS: &str = "was paid, and names no payment of ours";

/// It, among the payments.
fn stray(StrayPayment { reference, sum, heard_at }: &StrayPayment) -> Value {
    json!({
        "account": null, "id": reference, "minor": sum.minor, "currency": sum.currency, "made_at": heard_at, "state": "held", "problem": NOBODYS
    })
}

fn list(payments: &[Payment], strays: &[StrayPayment], all: bool) -> String {
    if payments.is_empty() && strays.is_empty() {
        return if all { "There is no payment." } else { "Nothing of any payment needs to be looked at." }.to_owned();
    }
    let rows = payments.iter().map(|payment| {
        let Payment { id, provider, amount, currency, state, made_at, made_by, problem, .. } = payment;
        let amount = format!("{amount} {}", currency.code().to_ascii_uppercase());
        let at = made_at.format("%Y-%m-%d %H:%M").to_string();
        [
            id.to_string(),
            at,
            provider.name().to_owned(),
            amount,
            state.name().to_owned(),
            made_by.clone(),
            problem.clone().unwrap_or_default(),
        ]
    });
    let nobodys = strays.iter().map(|StrayPayment { reference, sum, heard_at }| {
        let at = heard_at.format("%Y-%m-%d %H:%M").to_string();
        [reference.clone(), at, Provider::Stripe.name().to_owned(), sum.to_string(), "held".to_owned(), String::new(), NOBODYS.to_owned()]
    });
    let rows = rows.chain(nobodys);
    table(["PAYMENT", "BEGUN (UTC)", "THROUGH", "AMOUNT", "STATE", "BY", "WHAT TO LOOK AT"], rows)
}
