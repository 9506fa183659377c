//! The ways on which a model can be answered: a provider each, in the order in which they are asked.

use std::sync::Arc;

use domain::{
    call::Attempt,
    catalog::{Model, OutputCapField},
};

use super::{catalog::Entry, target::Target};
use crate::{dialect::request::Request, instruments::meters::Meters, reply::Refusal, upstream::health::Health};

/// The member by which a request asks for a tier.
const SERVICE_TIER: &str = "service_tier";

/// A model at one provider.
#[derive(Debug)]
pub(crate) struct Route {
    /// As this provider is asked for it: by its name there, with what an operator has opened there. Name, window and bounds are the model's own.
    pub(crate) model: Model,
    pub(crate) target: Arc<Target>,
    pub(crate) health: Arc<Health>,
    /// What is counted of its calls, from snapshot to snapshot.
    pub(crate) meters: Arc<Meters>,
}

impl Route {
    /// What is against a request here: it is in an API that the provider does not speak, or has members that are not opened at it.
    fn refusal(&self, request: &Request) -> Option<Refusal> {
        if !self.target.speaks(request.dialect) {
            return Some(Refusal::not_spoken(&request.model, request.dialect.route));
        }
        request.refused_by(&self.model)
    }

    /// Models that insist on `max_completion_tokens` are OpenAI's reasoning models: most of their output may never be seen.
    pub(crate) fn reasons(&self) -> bool {
        self.model.output_cap_field == OutputCapField::MaxCompletionTokens
    }
}

impl Entry {
    /// What is against a request at a route. A service tier with a price of its own is paid for where it serves: another provider than the model's own is not
    /// known to, unless an operator says so.
    fn refusal_at(&self, route: &Route, request: &Request) -> Option<Refusal> {
        let serves_its_tier =
            !request.service_tier.wants_a_price() || route.model.provider == self.model.provider || route.model.opens(SERVICE_TIER);
        let why = "the provider that would answer is not known to have this service tier";
        route.refusal(request).or_else(|| (!serves_its_tier).then(|| Refusal::unmetered(SERVICE_TIER.to_owned(), why, &request.model)))
    }

    fn takes(&self, route: &Route, request: &Request) -> bool {
        self.refusal_at(route, request).is_none()
    }

    /// The first route that takes a request.
    ///
    /// # Errors
    /// What the first of all has against it, where none does.
    pub(crate) fn first_route(&self, request: &Request) -> Result<&Arc<Route>, Refusal> {
        let Some(first) = self.routes.first() else {
            return Err(Refusal::bad_gateway("The model's upstream is not set up so that it can be called."));
        };
        let Some(refusal) = self.refusal_at(first, request) else { return Ok(first) };
        self.routes.iter().skip(1).find(|route| self.takes(route, request)).ok_or(refusal)
    }

    /// The routes that take a request, but for this one and those that have failed: a model has each provider once.
    pub(crate) fn routes_beside<'a>(
        &'a self,
        route: &'a Route,
        failed: &'a [Attempt],
        request: &'a Request,
    ) -> impl Iterator<Item = &'a Arc<Route>> {
        let known = move |provider: &str| provider == route.model.provider || failed.iter().any(|attempt| attempt.provider == provider);
        self.routes.iter().filter(move |other| !known(&other.model.provider) && self.takes(other, request))
    }

    /// Whether there are more routes than so many, be they such as are not taken.
    pub(crate) fn has_more_than(&self, many: usize) -> bool {
        self.routes.len() > many
    }
}
