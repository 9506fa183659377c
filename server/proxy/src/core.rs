//! What the calls of one core share: each core has a runtime of its own, and nothing of a call ever leaves it.

use std::sync::Arc;

use crate::{Shared, books::spool::Lane, upstream::pool::Upstreams};

/// A core.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    /// Its own connections to upstreams, which are driven by the runtime that made them.
    pub(crate) upstreams: Upstreams,
    /// Where its calls are written, together those of one moment.
    own_lane: Arc<Lane>,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let upstreams = Upstreams::new(shared.settings.connect_timeout);
        let own_lane = shared.next_lane();
        Self { shared, upstreams, own_lane }
    }

    /// The lane that a call is written to: the core's own, or another that takes calls where that does not. `None` if none does.
    pub(crate) fn lane(&self) -> Option<&Arc<Lane>> {
        let takes_calls = |lane: &&Arc<Lane>| lane.takes_calls().is_ok();
        Some(&self.own_lane).filter(takes_calls).or_else(|| self.shared.spool.writable().iter().find(takes_calls))
    }
}
