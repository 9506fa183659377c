use super::page::{Chosen, Prices};
use crate::{
    error::ConsoleError,
    server::{Caller, parameter},
};

/// Prices and costs, for operators.
pub(crate) async fn prices(caller: &Caller, query: &str) -> Result<Prices, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let models = operator.priced_models(now).await?;
    let chosen = match parameter(query, "model") {
        None => None,
        Some(name) => {
            let priced = models.iter().find(|priced| priced.model.name == name).cloned().ok_or(ConsoleError::NotFound)?;
            let history = operator.price_history(&name).await?;
            let published = parameter(query, "published").and_then(|id| id.parse().ok());
            Some(Chosen { priced, history, published, form: caller.form() })
        }
    };
    Ok(Prices { models, chosen, now })
}
