//! How many files the process may have open, and how many connections come of that.
//!
//! A proxy that runs out of files refuses calls that it has admitted: what is accepted must leave room for the connections that it leads to.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// For the database, the spool, the listeners and whatever else is open.
const OWN: u64 = 256;
/// What each listener accepts at most, where there are files for it.
const PROXY_MAX: u64 = 10_000;
const CONSOLE_MAX: u64 = 1_000;
/// Of the proxy's clients: with fewer, a busy day comes to the end of them.
const ENOUGH: usize = 4_000;
/// A call has a client and an upstream.
const FILES_PER_CALL: u64 = 2;

/// Connections that may be open at once, so that one listener cannot take the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connections {
    /// Of the proxy's clients.
    pub(crate) proxy: usize,
    /// Of the console's visitors.
    pub(crate) console: usize,
}

impl Connections {
    fn within(files: u64) -> Self {
        let console = (files / 8).min(CONSOLE_MAX);
        let proxy = (files.saturating_sub(OWN + console) / FILES_PER_CALL).clamp(1, PROXY_MAX);
        let count = |files: u64| usize::try_from(files).unwrap_or(usize::MAX);
        Self { proxy: count(proxy), console: count(console.max(1)) }
    }

    /// What one address may have of the proxy's: so many, or else half of them.
    pub(crate) fn of_one_address(self, wanted: Option<u32>) -> usize {
        wanted.map_or(self.proxy.div_ceil(2), |wanted| usize::try_from(wanted).unwrap_or(usize::MAX))
    }
}

/// Raises the limit as far as this user may, and says what comes of it where that is too little.
pub(crate) fn raise() -> Connections {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Connections::within(u64::MAX) };
    // Some systems name a higher limit than they grant.
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    let connections = Connections::within(files);
    if connections.proxy < ENOUGH {
        tracing::warn!(
            files,
            proxy = connections.proxy,
            console = connections.console,
            "the limit of open files allows only so many connections at once; raise it (ulimit -Hn, LimitNOFILE= of systemd) to {}",
            OWN + CONSOLE_MAX + FILES_PER_CALL * PROXY_MAX
        );
    }
    connections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_leaves_files_for_what_it_leads_to() {
        for files in [512, 1_024, 4_096, 21_256, u64::MAX] {
            let Connections { proxy, console } = Connections::within(files);
            let open = OWN + console as u64 + FILES_PER_CALL * proxy as u64;
            assert!(open <= files, "{files} are less than {open}");
        }
        assert_eq!(Connections::within(1), Connections { proxy: 1, console: 1 }, "whatever comes of it");
        let all = Connections::within(21_256);
        assert_eq!(all, Connections { proxy: 10_000, console: 1_000 });
        assert_eq!((all.of_one_address(None), all.of_one_address(Some(7))), (5_000, 7));
    }
}
