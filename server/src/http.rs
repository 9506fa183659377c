//! A listener for people and for whoever watches: HTTP/1.1 alone, so many connections at once, and none that stays without asking for anything.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, extract::ConnectInfo, http::Request};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::Layer;

/// What a connection buffers.
const BUFFER_MAX: usize = 16 * 1024;
/// For the head of the first request: whoever connects wants something.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// For that of each later one, from when its connection is idle: longer than a reverse proxy keeps an idle connection (nginx: 60 s).
const NEXT_WITHIN: Duration = Duration::from_secs(75);
/// A pause after the listener failed, which it mostly does for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, and then what still runs, for as long as `stop_within`. What exceeds `connections_max` waits to be accepted.
pub(crate) async fn serve(listener: TcpListener, router: Router, connections_max: usize, stop: &CancellationToken, stop_within: Duration) {
    let (places, graceful) = (Arc::new(Semaphore::new(connections_max)), GracefulShutdown::new());
    // Dropped at the end, it cuts off what still runs.
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places)).await {
        match accepted {
            Ok((stream, peer, place)) => {
                let connection = connection(stream, peer, &router, &graceful);
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
                while connections.try_join_next().is_some() {}
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever comes now is refused by the system.
    drop(listener);
    let _ = timeout(stop_within, graceful.shutdown()).await; // what takes longer is cut off
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: &Router,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    let has_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&has_asked);
    let pages = TowerToHyperService::new(Extension(ConnectInfo(peer)).layer(router.clone()));
    let service = service_fn(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        pages.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_WITHIN)
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    async move {
        let mut connection = pin!(connection);
        let ended = match timeout(FIRST_WITHIN, &mut connection).await {
            Ok(ended) => ended,
            Err(_) if has_asked.load(Ordering::Relaxed) => connection.await,
            Err(_) => return,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// It ends with the set that it runs in.
    async fn server(connections_max: usize) -> (SocketAddr, CancellationToken, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (router, token) = (Router::new().route("/", get(async || "page")), stop.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { serve(listener, router, connections_max, &token, Duration::ZERO).await });
        (address, stop, serving)
    }

    async fn read(stream: &mut TcpStream) -> String {
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8(answer[..read].to_vec()).unwrap()
    }

    /// The clock goes on by itself where everybody waits for it.
    #[tokio::test(start_paused = true)]
    async fn whoever_connects_and_asks_for_nothing_is_not_waited_for() {
        let (address, stop, _serving) = server(1).await;
        let began = Instant::now();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(ASK).await.unwrap();
        assert!(read(&mut next).await.ends_with("page"), "there is a place again");
        assert!(began.elapsed() >= FIRST_WITHIN, "there was only one");
        assert_eq!(read(&mut silent).await, "");
        stop.cancel();
    }

    #[tokio::test]
    async fn a_page_is_asked_for_in_http_1_1_alone() {
        let (address, stop, _serving) = server(2).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(ASK).await.unwrap();
        assert!(read(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(!read(&mut stream).await.contains('\0'), "no frame comes back");
        stop.cancel();
    }
}
