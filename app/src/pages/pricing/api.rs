use domain::{
    catalog::PricedModel,
    own_price::{self, OwnPrice},
};

use super::{page::Pricing, read};
use crate::{
    error::ConsoleError,
    server::{Caller, parameter},
};

/// What customers pay. Anyone may ask; what it costs the gateway is not in the answer.
pub(crate) async fn pricing(caller: &Caller, query: &str) -> Result<Pricing, ConsoleError> {
    let now = caller.visitor.now;
    let search = parameter(query, "search").unwrap_or_default().trim().to_owned();
    let wanted = search.to_lowercase();
    let matches = |text: &str| text.to_lowercase().contains(&wanted);
    let mut models = caller.console.ledger.price_list(now).await?;
    let offers = caller.console.ledger.offers().await?;
    let all = match caller.visitor.visit.role() {
        Some(_) => caller.seen("").await?.reader.own_prices().await?,
        None => Vec::new(),
    };
    let is_shown = |own: &OwnPrice| own.withdrawn_at.is_none() && own_price::over_at(own, &all).is_none_or(|end| end > now);
    let mut own: Vec<_> = all.iter().filter(|own| matches(&own.model) && is_shown(own)).cloned().collect();
    let bill = read::bill(&models, &all, &offers, query, now);
    models.retain(|priced| matches(&priced.model.name) || matches(&priced.model.provider));
    models.iter_mut().for_each(hide_the_gateways_own);
    own.iter_mut().for_each(|own| own.version.created_by = String::new());
    Ok(Pricing { models, own, offers, contact: caller.console.settings.sales_contact.clone(), bill, search, now })
}

/// Who wrote a price and what the provider calls the model is the operator's business.
fn hide_the_gateways_own(priced: &mut PricedModel) {
    priced.cost = None;
    priced.model.upstream_name = String::new();
    let own = priced.sale.iter_mut().chain(&mut priced.scheduled);
    let tiers = priced.service_tiers.iter_mut().flat_map(|tier| tier.sale.iter_mut().chain(&mut tier.scheduled));
    own.chain(tiers).for_each(|version| version.created_by = String::new());
    priced.service_tiers.iter_mut().for_each(|tier| tier.cost = None);
}
