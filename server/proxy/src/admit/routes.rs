//! The ways on which a model can be answered: a provider each, in the order in which they are asked.

use std::sync::Arc;

use domain::catalog::Model;

use super::{catalog::Entry, target::Target};
use crate::{dialect::request::Request, instruments::meters::Meters, reply::Refusal, upstream::health::Health};

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

    fn takes(&self, request: &Request) -> bool {
        self.refusal(request).is_none()
    }
}

impl Entry {
    /// The place of the first route that takes a request.
    ///
    /// # Errors
    /// What the first of all has against it, where none does.
    pub(crate) fn first_route(&self, request: &Request) -> Result<usize, Refusal> {
        let mut refusals = self.routes.iter().map(|route| route.refusal(request));
        match refusals.next() {
            None => Err(Refusal::bad_gateway("The model's upstream is not set up so that it can be called.")),
            Some(None) => Ok(0),
            Some(Some(refusal)) => refusals.position(|refusal| refusal.is_none()).map(|place| place + 1).ok_or(refusal),
        }
    }

    /// The routes behind a place that take a request, each with its own.
    pub(crate) fn routes_behind<'a>(&'a self, place: usize, request: &'a Request) -> impl Iterator<Item = (usize, &'a Arc<Route>)> {
        self.routes.iter().enumerate().skip(place + 1).filter(|(_, route)| route.takes(request))
    }

    /// Whether there is any route behind a place, be it one that is not taken.
    pub(crate) fn has_behind(&self, place: usize) -> bool {
        self.routes.len() > place + 1
    }
}
