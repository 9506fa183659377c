use super::page::Today;
use crate::{error::ConsoleError, server::Caller};

/// The day so far, for operators. What other pages tell in full is read here as they read it.
pub(crate) async fn today(caller: &Caller) -> Result<Today, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let unpriced = operator.priced_models(now).await?.into_iter().filter(|priced| priced.sale.is_none());
    Ok(Today {
        now,
        day: operator.today(now).await?,
        unpriced: unpriced.map(|priced| priced.model.name).collect(),
        payments: operator.payments_to_look_at().await?,
        proxies: operator.proxies().await?,
        last_proof: operator.last_proof(false).await?,
    })
}
