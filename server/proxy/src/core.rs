//! What the calls of one core share: each core has a runtime of its own, and nothing of a call ever leaves it.

use std::sync::Arc;

use crate::{Shared, upstream::pool::Upstreams};

/// A core.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    /// Its own connections to upstreams, which are driven by the runtime that made them.
    pub(crate) upstreams: Upstreams,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let upstreams = Upstreams::new(shared.settings.connect_timeout);
        Self { shared, upstreams }
    }
}
