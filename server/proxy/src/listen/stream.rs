//! A client's connection as hyper reads it: looked at, not waited for too long, and closed so that its client can read the last answer.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{framing::Framing, unread};
use crate::connection::Attention;

/// How long it is read on after its last answer.
const LINGER: Duration = Duration::from_secs(10);

/// What is known of a connection's requests, by whoever reads them and whoever answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange(Arc<Mutex<Framing>>);

impl Exchange {
    pub(super) fn lock(&self) -> MutexGuard<'_, Framing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of its first request from when it has connected, and for that of a later one from when that begins.
    pub(super) head: Duration,
    /// For another request.
    pub(super) idle: Duration,
    /// What is read of a body that nobody wants.
    pub(super) linger_bytes: usize,
}

/// A connection.
pub(super) struct Stream<T> {
    inner: T,
    exchange: Exchange,
    attention: Attention,
    patience: Patience,
    wait: Wait,
    timer: Option<Pin<Box<Sleep>>>,
    /// What it may still be read on, once nothing more is answered.
    lingering: Option<usize>,
    /// What is left of what is said instead of hyper's own answer.
    instead: Option<Bytes>,
}

/// What is waited for, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Head(Instant),
    Idle(Instant),
    /// For what has a time-out elsewhere.
    Else,
}

impl<T> Stream<T> {
    pub(super) fn new(inner: T, exchange: Exchange, attention: Attention, patience: Patience) -> Self {
        Self { inner, exchange, attention, patience, wait: Wait::Head(Instant::now()), timer: None, lingering: None, instead: None }
    }

    /// Ready when nothing more is waited for.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ends_at = {
            let mut framing = self.exchange.lock();
            self.wait = match self.wait {
                _ if framing.is_in_body() || self.attention.is_answering() => Wait::Else,
                Wait::Else if framing.is_in_head() => Wait::Head(Instant::now()),
                Wait::Idle(_) if framing.is_in_head() => Wait::Head(Instant::now()),
                Wait::Else => Wait::Idle(Instant::now()),
                same => same,
            };
            let ends_at = match self.wait {
                Wait::Head(since) => since + self.patience.head,
                Wait::Idle(since) => since + self.patience.idle,
                Wait::Else => return Poll::Pending,
            };
            framing.is_over = ends_at <= Instant::now();
            if framing.is_over {
                return Poll::Ready(());
            }
            ends_at
        };
        self.poll_timer(ends_at, context)
    }

    /// Ready when it is over. The timer is set anew only when it has gone off: most clients send something long before.
    fn poll_timer(&mut self, ends_at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(ends_at)));
        // One that was set for a later end would go off too late.
        if timer.deadline() > ends_at {
            timer.as_mut().reset(ends_at);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if ends_at <= Instant::now() {
                self.exchange.lock().is_over = true;
                return Poll::Ready(());
            }
            timer.as_mut().reset(ends_at);
        }
    }
}

impl<T: AsyncRead + Unpin> Stream<T> {
    /// Reads on after the last answer: a connection that is closed while its client still sends is reset, and the answer with it (RFC 9112, section
    /// 9.6).
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut left = match self.lingering {
            Some(left) => left,
            None => {
                self.timer = None;
                self.wait = Wait::Head(Instant::now());
                self.patience.linger_bytes
            }
        };
        let Wait::Head(since) = self.wait else { return Poll::Ready(()) };
        let mut scratch = [0; 16 * 1024];
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => left = left.saturating_sub(buffer.filled().len()),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    self.lingering = Some(left);
                    return self.poll_timer(since + LINGER, context);
                }
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stream<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let read = &buffer.filled()[before..];
                let mut framing = this.exchange.lock();
                framing.is_over = read.is_empty();
                framing.read(read);
                if !framing.is_in_head() {
                    this.wait = Wait::Else;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // As if the client had ended it.
            Poll::Pending => this.poll_patience(context).map(Ok),
        }
    }
}

impl<T: AsyncWrite + Unpin> Stream<T> {
    /// Whether what hyper writes is of no answer of ours: all of those are written.
    fn is_hypers(&self) -> bool {
        !self.exchange.lock().has_answer
    }

    /// Writes what is said instead, and takes hyper's for written.
    fn poll_instead(&mut self, context: &mut Context<'_>, hypers: &[u8]) -> Poll<io::Result<usize>> {
        let instead = self.instead.get_or_insert_with(|| unread::instead_of(hypers));
        while instead.has_remaining() {
            match ready!(Pin::new(&mut self.inner).poll_write(context, instead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => instead.advance(written),
            }
        }
        Poll::Ready(Ok(hypers.len()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_hypers() {
            return self.poll_instead(context, bytes);
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.is_hypers() {
            return self.poll_instead(context, pieces.first().map_or(&[], |piece| piece));
        }
        Pin::new(&mut self.inner).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// hyper flushes once it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.attention.is_answering() {
            self.exchange.lock().has_answer = false;
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            let framing = this.exchange.lock();
            if framing.is_over || framing.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(75), linger_bytes: 100_000 };
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";

    fn connection() -> (DuplexStream, Stream<DuplexStream>, Attention) {
        let (client, inner) = duplex(1024);
        let attention = Attention::default();
        (client, Stream::new(inner, Exchange::default(), attention.clone(), PATIENCE), attention)
    }

    /// How long it takes until it ends.
    async fn seconds(ending: impl Future) -> u64 {
        let began = Instant::now();
        ending.await;
        began.elapsed().as_secs()
    }

    async fn read(stream: &mut Stream<DuplexStream>) -> usize {
        stream.read(&mut [0; 256]).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_less_time_than_a_client_between_two_requests() {
        let (mut client, mut stream, attention) = connection();
        client.write_all(GET).await.unwrap();
        assert_eq!(read(&mut stream).await, GET.len());
        attention.begin();
        tokio::select! {
            _ = read(&mut stream) => panic!("an answer may take its time"),
            () = tokio::time::sleep(Duration::from_secs(600)) => drop(attention.watch(())),
        }
        assert_eq!(seconds(read(&mut stream)).await, 75);

        let (mut client, mut stream, _) = connection();
        client.write_all(GET).await.unwrap();
        read(&mut stream).await;
        tokio::select! {
            _ = read(&mut stream) => panic!("it is idle for a minute only"),
            () = tokio::time::sleep(Duration::from_secs(60)) => client.write_all(&GET[..9]).await.unwrap(),
        }
        assert_eq!(read(&mut stream).await, 9);
        assert_eq!(seconds(read(&mut stream)).await, 10);
    }

    #[tokio::test]
    async fn what_hyper_says_by_itself_is_said_better_and_what_is_of_an_answer_stays_as_it_is() {
        const HYPERS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let (mut client, mut stream, attention) = connection();
        let mut read = [0; 1024];
        attention.begin();
        stream.exchange.lock().has_answer = true;
        // The head's, the body's while it is asked for more, and the last of it.
        for is_last in [false, false, true] {
            if is_last {
                drop(attention.clone().watch(()));
            } else {
                stream.flush().await.unwrap();
            }
            assert_eq!(stream.write(HYPERS).await.unwrap(), HYPERS.len());
            let length = client.read(&mut read).await.unwrap();
            assert_eq!(&read[..length], HYPERS);
        }
        stream.flush().await.unwrap();
        assert_eq!(stream.write(HYPERS).await.unwrap(), HYPERS.len());
        let length = client.read(&mut read).await.unwrap();
        assert!(read[..length].ends_with(b"}") && read[..length].starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_connects_and_says_nothing_has_the_time_of_a_head() {
        let (_client, mut stream, _) = connection();
        assert_eq!(seconds(read(&mut stream)).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_wants_is_read_on_within_bounds() {
        // Until it ends.
        let (mut client, mut stream, _) = connection();
        client.write_all(POST).await.unwrap();
        read(&mut stream).await;
        let sending = async {
            client.write_all(&[b'x'; 50_000]).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (closed, ()) = tokio::join!(seconds(stream.shutdown()), sending);
        assert_eq!(closed, 0);
        // Until it is too much.
        let (mut client, mut stream, _) = connection();
        client.write_all(POST).await.unwrap();
        read(&mut stream).await;
        tokio::select! {
            _ = stream.shutdown() => {}
            sent = client.write_all(&[b'x'; 900_000]) => panic!("it is not all read: {sent:?}"),
        }
        // Until it takes too long.
        let (mut client, mut stream, _) = connection();
        client.write_all(POST).await.unwrap();
        read(&mut stream).await;
        assert_eq!(seconds(stream.shutdown()).await, 10);
        // Not where there is nothing to read.
        let (mut client, mut stream, _) = connection();
        client.write_all(GET).await.unwrap();
        read(&mut stream).await;
        assert_eq!(seconds(stream.shutdown()).await, 0);
    }
}
