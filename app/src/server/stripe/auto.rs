//! Payments that nobody is there for: a saved card is charged, and what Stripe says of that is taken as of any other payment.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, PaymentId};
use futures_util::{StreamExt, stream};
use ledger::{ASKED_AGAIN_FOR, AccountOwner, AutoPayment, Ledger, News, Says};

use super::{
    Failure, NewSetup, NotTaken, Stripe,
    objects::{Event, Intent, Session},
    taking::{known, stray},
};

/// Accounts that are topped up at once.
const AT_ONCE: usize = 8;
/// Two machines' clocks differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(10);
/// What the customer reads where Stripe has no words for them.
const NOT_CHARGEABLE: &str = "The saved card was removed, or cannot be charged any more.";

impl Stripe {
    /// Tops up every account whose balance is lower than its owner wants it to become.
    ///
    /// # Errors
    /// [`ledger::Error::Unavailable`]; what keeps one account from being topped up is in the log, and keeps no other.
    pub async fn top_up(&self, ledger: &Ledger) -> ledger::Result<()> {
        let accounts = ledger.system().accounts_to_top_up().await?;
        let topping_up = stream::iter(accounts).for_each_concurrent(AT_ONCE, |account| async move {
            if let Err(error) = self.top_up_one(ledger, account).await {
                tracing::warn!(%account, %error, "an account is not topped up yet, or what became of that is not known");
            }
        });
        topping_up.await;
        Ok(())
    }

    async fn top_up_one(&self, ledger: &Ledger, account: AccountId) -> Result<(), NotTaken> {
        let id = PaymentId::new(ledger.clock().await?, rand::random());
        let Some(auto) = ledger.system().begin_auto_payment(account, id, self.0.largest).await? else { return Ok(()) };
        tracing::info!(%account, payment = %id, amount = %auto.payment.amount, "an account is topped up");
        self.charge(ledger, &auto).await
    }

    /// Charges a card, or hears what became of the charge that was asked for in the same words before.
    async fn charge(&self, ledger: &Ledger, auto: &AutoPayment) -> Result<(), NotTaken> {
        match self.0.client.charge(auto).await {
            Ok(intent) => self.take_intent(ledger, auto, &intent).await,
            Err(Failure::Declined { why, intent }) => {
                if let Some(intent) = intent {
                    note(ledger, auto, &intent).await?;
                }
                self.declined(ledger, auto, if why.is_empty() { NOT_CHARGEABLE } else { &why }).await
            }
            Err(Failure::Refused { status: 400 | 404, message }) => {
                tracing::warn!(payment = %auto.payment.id, message, "a saved card cannot be charged");
                self.declined(ledger, auto, NOT_CHARGEABLE).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn declined(&self, ledger: &Ledger, auto: &AutoPayment, why: &str) -> Result<(), NotTaken> {
        let (account, payment) = (auto.payment.account, auto.payment.id);
        self.put_down(ledger, &News { event: None, account, payment, intent: None, says: Says::Declined { why } }).await.map(drop)
    }

    /// Asks what has become of it; of one of which no answer was heard, in the words in which it was asked for. These may be heard for the first time, so that
    /// they are said only while its owner wants it yet; else it is looked up.
    pub(super) async fn look_at_auto(&self, ledger: &Ledger, auto: &AutoPayment) -> Result<(), NotTaken> {
        let (payment, client) = (&auto.payment, &self.0.client);
        if let Some(intent) = &payment.session {
            return self.take_intent(ledger, auto, &client.intent(intent).await?).await;
        }
        let is_known = ledger.clock().await? - payment.made_at < ASKED_AGAIN_FOR;
        if is_known && ledger.system().auto_stands(payment.account).await? {
            return self.charge(ledger, auto).await;
        }
        let since: DateTime<Utc> = payment.made_at - CLOCKS_DIFFER;
        let intents = client.intents_since(&auto.customer, since).await?.data;
        match intents.iter().find(|intent| intent.named() == Some((payment.account, payment.id))) {
            Some(intent) => self.take_intent(ledger, auto, intent).await,
            // It never reached Stripe.
            None => {
                let news = News { event: None, account: payment.account, payment: payment.id, intent: None, says: Says::Ended };
                self.put_down(ledger, &news).await.map(drop)
            }
        }
    }

    async fn take_intent(&self, ledger: &Ledger, auto: &AutoPayment, intent: &Intent) -> Result<(), NotTaken> {
        note(ledger, auto, &intent.id).await?;
        let (account, payment) = (auto.payment.account, auto.payment.id);
        self.put_down(ledger, &News { event: None, account, payment, intent: Some(&intent.id), says: intent.says() }).await.map(drop)
    }

    /// Takes a message about a payment itself. What somebody paid on Stripe's page by it is told of as that page's session.
    pub(super) async fn take_auto(&self, ledger: &Ledger, event: &Event<'_>, intent: &Intent) -> Result<(), NotTaken> {
        if !intent.is_auto() {
            return Ok(());
        }
        let Some((account, payment)) = known(ledger, intent.named()).await? else { return stray(ledger, &intent.id, &intent.says()).await };
        let event = ledger::Event { id: &event.id, kind: &event.kind, about: &intent.id, is_final: false };
        self.put_down(ledger, &News { event: Some(event), account, payment, intent: Some(&intent.id), says: intent.says() }).await.map(drop)
    }

    /// Has Stripe's page made on which a card is saved, and notes it. Returns its address.
    pub(crate) async fn begin_setup(&self, owner: &AccountOwner, new: &NewSetup<'_>) -> Result<String, NotTaken> {
        let session = self.setup_page(new).await?;
        owner.note_setup(&session.id).await?;
        Self::at(&self.0.pages, session.url)
    }

    /// A customer that Stripe knows no more, as after somebody deleted it there, keeps nobody from saving a card: then it is somebody new.
    async fn setup_page(&self, new: &NewSetup<'_>) -> Result<Session, Failure> {
        match self.0.client.create_setup(new).await {
            Err(Failure::Refused { status: 400 | 404, message }) if new.customer.is_some() => {
                tracing::warn!(account = %new.account, message, "Stripe refuses a customer: a card is saved for a new one");
                self.0.client.create_setup(&NewSetup { customer: None, ..*new }).await
            }
            answered => answered,
        }
    }

    /// Keeps the card that was saved on a page, if it is the one that its account was led to last.
    pub(crate) async fn keep(&self, ledger: &Ledger, setup: &str) -> Result<(), NotTaken> {
        let said = self.0.client.setup(setup).await?;
        let Some((account, (customer, method, name))) = said.account().zip(said.method()) else { return Ok(()) };
        if ledger.system().keep_method(account, setup, (customer, method, &name)).await? {
            tracing::info!(%account, "a card is saved");
        }
        Ok(())
    }

    /// Has Stripe's page made on which a customer sees to their cards and receipts. Returns its address.
    pub(crate) async fn portal(&self, customer: &str, back: &str, once: uuid::Uuid) -> Result<String, NotTaken> {
        let page = self.0.client.create_portal(customer, back, once).await?;
        Self::at(&self.0.portal, page.url)
    }
}

/// Notes what Stripe calls it. Where a message was here first, that is known already.
async fn note(ledger: &Ledger, auto: &AutoPayment, intent: &str) -> Result<(), NotTaken> {
    match ledger.system().note_session(auto.payment.account, auto.payment.id, intent).await {
        Ok(()) | Err(ledger::Error::IdempotencyConflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
