//! The body of an upstream's answer, whose beginning can be looked at before it is passed on.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower_http::decompression::DecompressionBody;

/// Some upstreams compress although they are asked not to.
pub(super) type Unpacked = DecompressionBody<Incoming>;

/// An answer's body.
pub(crate) struct UpstreamBody {
    /// What was looked at, and not passed on yet.
    seen: Bytes,
    rest: Unpacked,
    /// How it broke off while it was looked at.
    broken: Option<<Unpacked as Body>::Error>,
}

impl UpstreamBody {
    /// Looks at the whole, or at the first so many bytes and what comes with them. Nothing of it is lost when the looking is given up.
    pub(crate) async fn peek(&mut self, bytes_max: usize) -> &[u8] {
        while self.seen.len() < bytes_max && self.broken.is_none() {
            match self.rest.frame().await {
                None => break,
                Some(Err(error)) => self.broken = Some(error),
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    let mut seen = BytesMut::from(std::mem::take(&mut self.seen));
                    seen.extend_from_slice(&piece);
                    self.seen = seen.freeze();
                }
            }
        }
        &self.seen
    }
}

impl From<Unpacked> for UpstreamBody {
    fn from(rest: Unpacked) -> Self {
        Self { seen: Bytes::new(), rest, broken: None }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = <Unpacked as Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.seen.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.seen)))));
        }
        match self.broken.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && self.broken.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (seen, rest) = (u64::try_from(self.seen.len()).unwrap_or(u64::MAX), self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(seen));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(seen));
        }
        hint
    }
}
