//! Just enough of an HTTP/1.1 client, and frugal: one write and one read for a usual call.

use std::{io, ops::Range};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read.
    buffer: Vec<u8>,
    /// How much of that is done with.
    done: usize,
    body: Body,
}

/// What of an answer's body is still to come.
enum Body {
    /// So many bytes.
    Bytes(usize),
    /// Chunks, up to an empty one.
    Chunks,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), done: 0, body: Body::Bytes(0) })
    }

    /// Sends a request and reads the whole answer. Returns its status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        let status = self.begin(request).await?;
        while self.piece().await?.is_some() {}
        Ok(status)
    }

    /// Sends a request and reads the answer's head. Returns its status.
    pub(crate) async fn begin(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        let mut seen = self.done;
        let end = loop {
            let rest = &self.buffer[seen..];
            if let Some(place) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break seen + place;
            }
            seen = self.buffer.len().saturating_sub(3).max(self.done);
            self.fill().await?;
        };
        let (status, body) = head(&self.buffer[self.done..end]).ok_or_else(|| io::Error::other("it is no answer of HTTP/1.1"))?;
        self.done = end + 4;
        self.body = body;
        Ok(status)
    }

    /// The next piece of the body: all of it where its length is known, else a chunk. `None` at its end.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<&[u8]>> {
        let range = match self.body {
            Body::Bytes(0) => None,
            Body::Bytes(length) => {
                self.body = Body::Bytes(0);
                Some(self.take(length).await?)
            }
            Body::Chunks => self.chunk().await?,
        };
        if range.is_none() && self.done == self.buffer.len() {
            self.buffer.clear();
            self.done = 0;
        }
        Ok(range.map(|range| &self.buffer[range]))
    }

    async fn chunk(&mut self) -> io::Result<Option<Range<usize>>> {
        if self.done == self.buffer.len() {
            self.buffer.clear();
            self.done = 0;
        }
        let length = loop {
            if let Some(end) = self.buffer[self.done..].windows(2).position(|two| two == b"\r\n") {
                let line = std::str::from_utf8(&self.buffer[self.done..self.done + end]).map_err(io::Error::other)?;
                self.done += end + 2;
                break usize::from_str_radix(line, 16).map_err(io::Error::other)?;
            }
            self.fill().await?;
        };
        let range = self.take(length).await?;
        self.take(2).await?; // the line's end
        if length == 0 {
            self.body = Body::Bytes(0);
            return Ok(None);
        }
        Ok(Some(range))
    }

    /// The next bytes, once they have arrived.
    async fn take(&mut self, length: usize) -> io::Result<Range<usize>> {
        while self.buffer.len() < self.done + length {
            self.fill().await?;
        }
        self.done += length;
        Ok(self.done - length..self.done)
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The status, and how the body will come.
fn head(head: &[u8]) -> Option<(u16, Body)> {
    let text = std::str::from_utf8(head).ok()?;
    let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut body = Body::Bytes(0);
    for line in text.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Bytes(value.trim().parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunks;
        }
    }
    Some((status, body))
}

/// A chat request of a client with this key, as it goes over the wire.
pub(crate) fn request(key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nUser-Agent: OpenAI/Python 2.8.1\r\n\
         Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
