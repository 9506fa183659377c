//! Places for connections: so many in all, and of those no address more than its share, so that nobody alone can take all files of the process.
//!
//! A call keeps its connection's place to its own end, since it takes a file for its upstream also when its client has left. Behind a reverse proxy all
//! clients have its address: one that is trusted has no share, and each request on its connections takes a place of the client that it names.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::address;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{reply::Refusal, settings::Settings};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Of an IPv6 address, what a network gives to one customer at least (RFC 6177): whoever has one address of these has all of them.
const IPV6_PREFIX: u128 = !0 << 64;
/// So many who get no place are told why at once; each takes a file for as long as that takes. Others find their connection closed.
const TOLD_MAX: usize = 64;

/// All of them.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    telling: Arc<Semaphore>,
    share: usize,
    trusted: Vec<IpAddr>,
    taken: Mutex<HashMap<Origin, usize>>,
}

/// A client by its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Origin(IpAddr);

impl Origin {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_PREFIX).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// One of an address's share, given back when it is dropped.
#[derive(Debug)]
struct Share {
    places: Arc<Places>,
    origin: Origin,
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    of: Of,
}

/// Whose share it is of.
#[derive(Debug)]
enum Of {
    Peer {
        _share: Share,
    },
    /// A trusted proxy, which names the client of each request.
    Proxy(IpAddr, Arc<Places>),
}

/// What a request keeps for as long as it may take files; nothing, where it came on no connection of ours.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    _place: Option<Arc<Place>>,
    _share: Option<Share>,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(settings.connections_max)),
            telling: Arc::new(Semaphore::new(TOLD_MAX)),
            share: settings.connections_per_address_max,
            trusted: settings.trusted_proxies.clone(),
            taken: Mutex::default(),
        })
    }

    /// Waits until there is one at all, for whoever comes next.
    pub(super) async fn next(&self) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.map_err(io::Error::other)
    }

    /// Gives the next place to a connection of this peer.
    ///
    /// # Errors
    /// The refusal, where all of its address's share is taken.
    pub(super) fn give(self: &Arc<Self>, of_all: OwnedSemaphorePermit, peer: IpAddr) -> Result<Place, Refusal> {
        let of = if address::is_among(&self.trusted, peer) {
            Of::Proxy(peer, Arc::clone(self))
        } else {
            Of::Peer { _share: self.share_of(peer)? }
        };
        Ok(Place { _of_all: of_all, of })
    }

    /// Leave to tell why there is no place, if not too many are told already.
    pub(super) fn may_tell(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.telling).try_acquire_owned().ok()
    }

    fn share_of(self: &Arc<Self>, address: IpAddr) -> Result<Share, Refusal> {
        let origin = Origin::of(address);
        let mut all = self.taken();
        let taken = all.entry(origin).or_default();
        if *taken >= self.share {
            return Err(Refusal::too_many_connections(self.share));
        }
        *taken += 1;
        Ok(Share { places: Arc::clone(self), origin })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Origin, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.places.taken();
        let Some(taken) = all.get_mut(&self.origin) else { return };
        *taken -= 1;
        if *taken == 0 {
            all.remove(&self.origin);
        }
    }
}

impl Place {
    /// What a request with these headers keeps.
    ///
    /// # Errors
    /// The refusal, where a trusted proxy speaks for a client whose share is taken.
    pub(super) fn seat(self: &Arc<Self>, headers: &HeaderMap) -> Result<Seat, Refusal> {
        let share = match &self.of {
            Of::Peer { .. } => None,
            Of::Proxy(proxy, places) => {
                let lines = headers.get_all(FORWARDED_FOR).into_iter().map(HeaderValue::as_bytes);
                let client = address::client(*proxy, &places.trusted, lines);
                // One that names nobody speaks for itself.
                if address::is_among(&places.trusted, client) { None } else { Some(places.share_of(client)?) }
            }
        };
        Ok(Seat { _place: Some(Arc::clone(self)), _share: share })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn places(connections_max: usize, connections_per_address_max: usize) -> Arc<Places> {
        let trusted_proxies = vec![PROXY.parse().unwrap()];
        Places::new(&Settings { connections_max, connections_per_address_max, trusted_proxies, ..Settings::default() })
    }

    fn give(places: &Arc<Places>, peer: &str) -> Option<Arc<Place>> {
        let of_all = Arc::clone(&places.all).try_acquire_owned().unwrap();
        places.give(of_all, peer.parse().unwrap()).ok().map(Arc::new)
    }

    fn from(client: &str) -> HeaderMap {
        HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_str(client).unwrap())])
    }

    #[test]
    fn an_address_has_its_share_and_no_more_until_it_gives_some_back() {
        let places = places(9, 2);
        let (one, other) = (give(&places, "192.0.2.1").unwrap(), give(&places, "::ffff:192.0.2.1").unwrap());
        assert!(give(&places, "192.0.2.1").is_none(), "its share is taken");
        assert!(give(&places, "192.0.2.2").is_some(), "another's is not");
        drop(other);
        assert!(give(&places, "192.0.2.1").is_some());
        // A call outlives its connection, and keeps its place.
        let seat = one.seat(&HeaderMap::new()).unwrap();
        drop(one);
        assert_eq!(places.taken().len(), 1);
        drop(seat);
        assert!(places.taken().is_empty() && places.all.available_permits() == 9, "nobody is remembered");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let places = places(9, 1);
        let _one = give(&places, "2001:db8:1:1::1").unwrap();
        assert!(give(&places, "2001:db8:1:1:ffff::2").is_none() && give(&places, "2001:db8:1:2::1").is_some());
    }

    #[test]
    fn behind_a_trusted_proxy_each_request_is_of_the_client_that_it_names() {
        let places = places(9, 1);
        let [one, another] = [(), ()].map(|()| give(&places, PROXY).unwrap());
        let seat = one.seat(&from("192.0.2.1")).unwrap();
        assert!(another.seat(&from("192.0.2.1")).is_err() && another.seat(&from("192.0.2.2")).is_ok());
        let odd = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_bytes(b"\xff, 192.0.2.1").unwrap())]);
        assert!(another.seat(&odd).is_err(), "whatever stands before whom the proxy heard");
        assert!(another.seat(&HeaderMap::new()).is_ok() && one.seat(&HeaderMap::new()).is_ok(), "nobody is named");
        drop(seat);
        assert!(another.seat(&from("192.0.2.1")).is_ok());
        // Whoever is not trusted says what they like.
        let peer = give(&places, "192.0.2.3").unwrap();
        assert!(peer.seat(&from("192.0.2.9")).is_ok() && give(&places, "192.0.2.3").is_none() && places.taken().len() == 1);
    }
}
