//! What Stripe says, on its way into the books: told by it, or asked for.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{AccountId, PaymentId},
    payment::{AUTO, Payment, PaymentState},
};
use ledger::{AskedRefund, Ledger, News, Says, Taken};
use serde::Deserialize;

use super::{
    Failure, NewSession, Stripe, client,
    objects::{Charge, Dispute, Event, Other, Refund, Session},
};

/// A payment whose page nobody ever saw cannot have been paid.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::hours(3);

/// Why something was not taken; it must be said again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// The books are away.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// Stripe, who had to be asked, is.
    #[error(transparent)]
    Stripe(#[from] Failure),
    /// It follows on what is not known yet.
    #[error("it is about a payment that Stripe does not say is paid")]
    TooEarly,
    /// It is not what such a message should be.
    #[error("its object cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl NotTaken {
    /// Whether Stripe has answered, and does not do it.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Stripe(Failure::Refused { .. } | Failure::Declined { .. }))
    }

    /// Why Stripe never does what it was asked for, see [`Failure::verdict`].
    pub(crate) fn verdict(&self) -> Option<&str> {
        match self {
            Self::Stripe(failure) => failure.verdict(),
            _ => None,
        }
    }
}

/// Whose payment something is about.
type Owner = Option<(AccountId, PaymentId)>;

impl Stripe {
    /// Has Stripe's page made for a payment, and notes it. Returns its address.
    pub(crate) async fn begin(&self, ledger: &Ledger, new: &NewSession<'_>) -> Result<String, NotTaken> {
        let Session { id, url, .. } = self.0.client.create_session(new).await?;
        ledger.system().note_session(new.payment.account, new.payment.id, &id).await?;
        Self::at(&self.0.pages, url)
    }

    /// Whether a payment's form was opened too long ago.
    pub(crate) fn is_stale(payment: &Payment, now: DateTime<Utc>) -> bool {
        client::is_stale(payment.made_at, now)
    }

    /// Takes a message. One that is about nothing of ours is left alone.
    pub(super) async fn take(&self, ledger: &Ledger, event: &Event<'_>) -> Result<(), NotTaken> {
        if event.livemode == self.is_test() {
            tracing::warn!(
                event = event.id,
                kind = event.kind,
                "a message of Stripe's other mode is left alone: test and live have webhooks of their own"
            );
            return Ok(());
        }
        let object = event.data.object.get();
        match event.kind.as_str() {
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" | "checkout.session.expired" => {
                let session: Session = read(object)?;
                if session.mode.as_deref() == Some("setup") {
                    return self.keep(ledger, &session.id).await;
                }
                let says = session.says();
                self.take_session(ledger, Some(event), &session, says).await
            }
            "checkout.session.async_payment_failed" => {
                let session: Session = read(object)?;
                self.take_session(ledger, Some(event), &session, Says::Ended).await
            }
            "payment_intent.succeeded" | "payment_intent.payment_failed" | "payment_intent.canceled" => {
                self.take_auto(ledger, event, &read(object)?).await
            }
            "charge.refunded" => {
                let charge: Charge = read(object)?;
                let owner = self.owner(ledger, charge.payment_intent.as_ref(), charge.named()).await?;
                self.take_later(ledger, event, (owner, charge.payment_intent.as_ref()), (&charge.id, false), charge.says()).await
            }
            kind if kind.starts_with("charge.dispute.") => {
                let dispute: Dispute = read(object)?;
                let owner = self.owner(ledger, dispute.payment_intent.as_ref(), None).await?;
                let about = (dispute.id.as_str(), dispute.is_final());
                self.take_later(ledger, event, (owner, dispute.payment_intent.as_ref()), about, dispute.says()).await
            }
            "refund.failed" | "refund.updated" | "charge.refund.updated" => {
                let refund: Refund = read(object)?;
                let Some(says) = refund.says() else { return Ok(()) };
                let owner = self.owner(ledger, refund.payment_intent.as_ref(), None).await?;
                self.take_later(ledger, event, (owner, refund.payment_intent.as_ref()), (&refund.id, false), says).await
            }
            kind => {
                tracing::info!(event = event.id, kind, "a message of Stripe's that nothing follows from");
                Ok(())
            }
        }
    }

    /// Asks what has become of a payment, and takes the answer.
    pub(crate) async fn look_at(&self, ledger: &Ledger, payment: &Payment) -> Result<(), NotTaken> {
        if let Some(auto) = ledger.system().auto_payment(payment).await? {
            return self.look_at_auto(ledger, &auto).await;
        }
        let Some(session) = &payment.session else { return Ok(()) };
        let session = self.0.client.session(session).await?;
        let says = session.says();
        self.take_session(ledger, None, &session, says).await
    }

    /// The same for whoever waits for it on a page, who asks every other second: what keeps Stripe from answering is in the log.
    pub(crate) async fn look_now(&self, ledger: &Ledger, payment: &Payment) {
        if payment.state != PaymentState::Pending || self.0.looked_at.contains_key(&payment.id) {
            return;
        }
        self.0.looked_at.insert(payment.id, ());
        if let Err(error) = self.look_at(ledger, payment).await {
            tracing::warn!(payment = %payment.id, %error, "what became of a payment is not known yet");
        }
    }

    /// Asks for every payment that has been pending for so long: a message got lost, or nobody was there to take it. And for every refund of which no answer
    /// has come for so long.
    ///
    /// # Errors
    /// [`ledger::Error::Unavailable`]; where Stripe does not answer, that is in the log.
    pub async fn look_at_pending(&self, ledger: &Ledger, pending_for: TimeDelta) -> ledger::Result<()> {
        let now = ledger.clock().await?;
        for payment in ledger.system().payments_to_look_at(pending_for).await? {
            let looked = match payment.session {
                Some(_) => self.look_at(ledger, &payment).await,
                None if payment.made_by == AUTO => self.look_at(ledger, &payment).await,
                None if now - payment.made_at < FORGOTTEN_AFTER => Ok(()),
                None => {
                    let news = News { event: None, account: payment.account, payment: payment.id, intent: None, says: Says::Ended };
                    self.put_down(ledger, &news).await.map(drop)
                }
            };
            if let Err(error) = looked {
                tracing::warn!(payment = %payment.id, %error, "what became of a payment is not known yet");
            }
        }
        self.refund_again(ledger, pending_for).await
    }

    /// Asks again for refunds, which in the same words are the same ones, and leaves to an operator those for which it is too late for that.
    async fn refund_again(&self, ledger: &Ledger, asked_for: TimeDelta) -> ledger::Result<()> {
        for refund in ledger.system().refunds_to_ask(asked_for).await? {
            if let Err(error) = self.refund(ledger, &refund).await {
                tracing::warn!(account = %refund.account, refund = %refund.id, %error, "Stripe does not pay a payment back, or has not said so yet");
            }
        }
        for payment in ledger.system().give_up_refunds().await? {
            tracing::error!(%payment, "it is not known whether Stripe has paid a payment back, and an operator must look: see `farebox payments list`");
        }
        Ok(())
    }

    /// Asks for a refund that an operator has started, unless Stripe has taken it before. What Stripe refuses is noted, and so much is left of the payment
    /// again; what it does, it tells.
    pub(crate) async fn refund(&self, ledger: &Ledger, refund: &AskedRefund) -> Result<(), NotTaken> {
        if refund.is_taken {
            return Ok(());
        }
        let error = match self.0.client.refund(refund).await {
            Ok(_) => return Ok(ledger.system().note_taken_refund(refund).await?),
            Err(error) => error,
        };
        if let Some(why) = error.verdict() {
            ledger.system().note_refused_refund(refund, why).await?;
        }
        Err(error.into())
    }

    async fn take_session(&self, ledger: &Ledger, event: Option<&Event<'_>>, session: &Session, says: Says<'_>) -> Result<(), NotTaken> {
        // What we noted when it began comes before what it says of itself.
        let owner = ledger.system().payment_of(&session.id).await?.or_else(|| session.named());
        let Some((account, payment)) = known(ledger, owner).await? else { return stray(ledger, &session.id, &says).await };
        let event = event.map(|event| ledger::Event { id: &event.id, kind: &event.kind, about: &session.id, is_final: false });
        let intent = session.payment_intent.as_ref().map(Other::id);
        self.put_down(ledger, &News { event, account, payment, intent, says }).await.map(drop)
    }

    /// Takes what follows on a payment. Where it is told before the payment itself, that is asked for.
    async fn take_later(
        &self,
        ledger: &Ledger,
        event: &Event<'_>,
        (owner, intent): (Owner, Option<&Other>),
        (about, is_final): (&str, bool),
        says: Says<'_>,
    ) -> Result<(), NotTaken> {
        let Some((account, payment)) = owner else {
            tracing::info!(event = event.id, about, "a message of Stripe's about no payment of ours");
            return Ok(());
        };
        let event = ledger::Event { id: &event.id, kind: &event.kind, about, is_final };
        let news = News { event: Some(event), account, payment, intent: intent.map(Other::id), says };
        if self.put_down(ledger, &news).await? != Taken::TooEarly {
            return Ok(());
        }
        let payment = ledger.system().account(account).payment(payment).await?;
        self.look_at(ledger, &payment).await?;
        match self.put_down(ledger, &news).await? {
            Taken::TooEarly => Err(NotTaken::TooEarly),
            _ => Ok(()),
        }
    }

    /// Whose payment something is about: by what we noted, by what stands beside it, or by what Stripe answers.
    async fn owner(&self, ledger: &Ledger, intent: Option<&Other>, named: Owner) -> Result<Owner, NotTaken> {
        let Some(intent) = intent else { return Ok(named) };
        if let Some(noted) = ledger.system().payment_of(intent.id()).await?.or(named) {
            return Ok(Some(noted));
        }
        match self.0.client.intent(intent.id()).await {
            Ok(intent) => Ok(intent.named()),
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn put_down(&self, ledger: &Ledger, news: &News<'_>) -> Result<Taken, NotTaken> {
        let taken = ledger.system().take_news(news, self.0.largest).await?;
        let (account, payment) = (news.account, news.payment);
        match &taken {
            Taken::Credited(posting) => tracing::info!(%account, %payment, %posting, "a payment is credited"),
            Taken::Moved(posting) => tracing::warn!(%account, %payment, %posting, "a payment was refunded or is disputed"),
            Taken::Held(problem) => {
                tracing::error!(%account, %payment, problem, "a payment waits for an operator: see `farebox payments list`")
            }
            Taken::Unknown => tracing::error!(%account, %payment, "Stripe tells of a payment that is not in the books"),
            Taken::Before | Taken::Nothing | Taken::TooEarly | Taken::Ended => {}
        }
        Ok(taken)
    }
}

/// Whose payment something is about, if that is in the books.
pub(super) async fn known(ledger: &Ledger, owner: Owner) -> Result<Owner, NotTaken> {
    let Some((account, payment)) = owner else { return Ok(None) };
    match ledger.system().account(account).payment(payment).await {
        Ok(_) => Ok(owner),
        Err(ledger::Error::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What was paid and is no payment of ours waits for an operator. Of nothing, there is nothing to look at.
pub(super) async fn stray(ledger: &Ledger, reference: &str, says: &Says<'_>) -> Result<(), NotTaken> {
    if let Says::Paid { sum, .. } = says
        && sum.minor != 0
    {
        tracing::error!(reference, %sum, "what was paid is no payment of ours, and waits for an operator: see `farebox payments list`");
        return Ok(ledger.system().note_stray(reference, sum).await?);
    }
    tracing::info!(reference, "something of Stripe's that is no payment of ours");
    Ok(())
}

fn read<'a, T: Deserialize<'a>>(object: &'a str) -> Result<T, NotTaken> {
    Ok(serde_json::from_str(object)?)
}
