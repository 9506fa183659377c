//! The listener: HTTP/1.1 with bounds on everything, on every core, and an orderly end.

mod answering;
mod framing;
mod places;
mod stream;
mod turned_away;
mod unread;

use std::{
    convert::Infallible,
    io,
    net::IpAddr,
    num::NonZero,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use futures_util::FutureExt;
use http::{HeaderValue, Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::OwnedSemaphorePermit,
    task::{JoinSet, spawn_blocking},
    time::timeout,
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

pub(crate) use self::places::Seat;
use self::{
    answering::answer,
    places::{Place, Places},
    stream::{Exchange, Patience, Stream},
    turned_away::turn_away,
};
use crate::{
    Shared,
    connection::{Attention, drive},
    gateway::Gateway,
    instruments::refusals,
    reply::TOO_MANY_CONNECTIONS,
};

/// Of a head, before anybody knows who sends it. It also bounds what a connection buffers of a body at once.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// A pause after the listener failed, which it mostly does for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is on its way to a client may take so long, once all calls have ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The cores that serve: a thread for each, with a runtime of its own.
pub(crate) struct Cores {
    threads: Vec<JoinHandle<()>>,
    /// Those whose connections have not all ended.
    serving: TaskTracker,
    cut: CancellationToken,
}

impl Cores {
    /// Serves with as many cores as the process may use, until `shutdown`; from then on connections end with the answer that they are in the middle of.
    ///
    /// # Errors
    /// The system's, when it has no more threads or files.
    pub(crate) fn start(shared: &Arc<Shared>, listener: TcpListener, shutdown: &CancellationToken) -> io::Result<Self> {
        let (listener, shutdown) = (listener.into_std()?, shutdown.child_token());
        let places = Places::new(&shared.settings);
        let (serving, cut) = (TaskTracker::new(), CancellationToken::new());
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (0..cores).map(|number| {
            let (listener, shared, token) = (listener.try_clone()?, Arc::clone(shared), serving.token());
            let (places, shutdown, cut) = (Arc::clone(&places), shutdown.clone(), cut.clone());
            let serving = async move {
                match TcpListener::from_std(listener) {
                    Ok(listener) => serve(shared, listener, places, token, shutdown, cut).await,
                    Err(error) => tracing::error!(%error, "a core does not serve"),
                }
            };
            thread::Builder::new().name(format!("core-{number}")).spawn(move || run(serving))
        });
        let threads = threads.collect::<io::Result<_>>().inspect_err(|_| {
            // Those that have begun end.
            shutdown.cancel();
            cut.cancel();
        })?;
        serving.close();
        Ok(Self { threads, serving, cut })
    }

    /// Returns once all connections have ended.
    pub(crate) async fn finish(&self) {
        self.serving.wait().await;
    }

    /// Cuts off what is left, after a moment for what is on its way to clients.
    pub(crate) async fn cut(self) {
        self.cut.cancel();
        let ended = spawn_blocking(move || self.threads.into_iter().all(|thread| thread.join().is_ok()));
        if !ended.await.unwrap_or(false) {
            tracing::error!("a core has panicked: its calls were settled as interrupted");
        }
    }
}

/// Runs a core on the thread that it is on.
fn run(serving: impl Future<Output = ()>) {
    match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(serving);
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!(%error, "a core does not serve"),
    }
}

/// One core: until it is cut off, since calls go on when their connections have ended.
async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    places: Arc<Places>,
    serving: TaskTrackerToken,
    shutdown: CancellationToken,
    cut: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    accept_until(&shutdown, &shared, &listener, &places, &graceful, &mut connections).await;
    // Whoever comes now is refused by the system, and finds another proxy.
    drop(listener);
    connections.spawn(graceful.shutdown());
    let ended = cut.run_until_cancelled(async { while connections.join_next().await.is_some() {} }).await;
    drop(serving);
    cut.cancelled().await;
    if ended.is_none() && timeout(FLUSH_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections whose clients do not read are cut");
        connections.shutdown().await;
        // What they left goes on here.
        let _ = timeout(FLUSH_TIMEOUT, shared.calls.wait()).await; // the next run settles the others as interrupted
    }
}

async fn accept_until(
    shutdown: &CancellationToken,
    shared: &Arc<Shared>,
    listener: &TcpListener,
    places: &Arc<Places>,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    let gateway = Gateway::new(Arc::clone(shared));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(_) = connections.join_next() => continue,
            accepted = accept(listener, places, shared.settings.idle_timeout) => accepted,
        };
        match accepted {
            Ok((stream, peer, of_all)) => match places.give(of_all, peer) {
                Ok(place) => {
                    connections.spawn(connection(&gateway, stream, place, shared, graceful));
                }
                Err(refusal) => match places.may_tell() {
                    Some(leave) => {
                        connections.spawn(turn_away(stream, refusal, leave));
                    }
                    None => refusals::count(TOO_MANY_CONNECTIONS),
                },
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Places, idle_timeout: Duration) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let place = places.next().await?;
    let (stream, peer) = listener.accept().await?;
    // Without this, small events wait for the acknowledgement of the one before (Nagle's algorithm).
    stream.set_nodelay(true)?;
    // A client that has vanished without a word gives its place back.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(idle_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = idle_timeout; // other systems have no such time-out
    Ok((stream, peer.ip(), place))
}

fn connection(
    gateway: &Gateway,
    stream: TcpStream,
    place: Place,
    shared: &Arc<Shared>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    let (attention, exchange, shared, gateway) = (Attention::default(), Exchange::default(), Arc::clone(shared), gateway.clone());
    let patience = Patience {
        head: shared.settings.header_timeout,
        idle: shared.settings.keep_alive_timeout,
        linger_bytes: shared.settings.body_bytes_max,
    };
    let stream = Stream::new(stream, exchange.clone(), attention.clone(), patience);
    let watched = attention.clone();
    let keep_alive = HeaderValue::try_from(format!("timeout={}", patience.idle.as_secs())).ok();
    let place = Arc::new(place);
    let service = service_fn(move |request: Request<Incoming>| {
        watched.begin();
        let seat = place.seat(request.headers());
        let (gateway, attention, exchange, keep_alive) = (gateway.clone(), watched.clone(), exchange.clone(), keep_alive.clone());
        // In a box: a connection keeps the room of what answers its requests for as long as it is open.
        Box::pin(async move {
            Ok::<_, Infallible>(answer(&gateway, request, seat, &exchange, keep_alive).await.map(|body| attention.watch(body)))
        })
    });
    // Time-outs are the stream's.
    let connection =
        http1::Builder::new().max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX).serve_connection(TokioIo::new(stream), service);
    // In a box, since a future that is handed on keeps room for each hand.
    let connection = Box::pin(graceful.watch(connection).map(|ended| {
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }));
    async move { drive(connection, attention, shared.settings.idle_timeout, &shared.stop).await }
}
