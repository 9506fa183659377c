//! What the calls of one core share: each core has a runtime of its own, and nothing of a call ever leaves it.

use std::sync::Arc;

use crate::{Shared, books::spool::Lane, upstream::pool::Upstreams};

/// A core.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    /// Its own connections to upstreams, which are driven by the runtime that made them.
    pub(crate) upstreams: Upstreams,
    /// Where its calls are written, and together those of one moment.
    pub(crate) lane: Arc<Lane>,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let upstreams = Upstreams::new(shared.settings.connect_timeout);
        let lane = shared.next_lane();
        Self { shared, upstreams, lane }
    }
}
