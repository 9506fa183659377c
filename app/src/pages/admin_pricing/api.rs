use domain::catalog::PriceKind;

use super::{
    fields,
    page::{Chosen, Prices},
};
use crate::{
    error::ConsoleError,
    server::{Caller, parameter},
};

/// Prices and costs, for operators.
pub(crate) async fn prices(caller: &Caller, query: &str) -> Result<Prices, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let models = operator.priced_models(now).await?;
    let form = caller.form();
    // A form that comes back names its model and its side itself, wherever it was sent to.
    let asked = |field: &str, name: &str| form.typed(field).map(str::to_owned).or_else(|| parameter(query, name));
    let side = asked("kind", "side").and_then(|name| fields::side(&name)).unwrap_or(PriceKind::Sale);
    let chosen = match asked("model", "model") {
        None => None,
        Some(name) => {
            let priced = models.iter().find(|priced| priced.model.name == name).cloned().ok_or(ConsoleError::NotFound)?;
            let history = operator.price_history(&name).await?;
            let published = parameter(query, "published").and_then(|id| id.parse().ok());
            Some(Chosen { priced, side, history, published, form })
        }
    };
    Ok(Prices { models, chosen, now })
}
