//! What becomes of a connection that there is no place for: it is told so before it has asked for anything, and closed.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::timeout,
};

use super::unread;
use crate::reply::Refusal;

/// How long it may take to be told.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// What is read of a request that nobody looks at.
const UNREAD_MAX: usize = 64 * 1024;

/// Answers, and reads for a moment what its client has sent: a connection that is closed before is reset, and the answer with it (RFC 9112, section 9.6).
pub(super) async fn turn_away(mut stream: TcpStream, refusal: Refusal, _leave: OwnedSemaphorePermit) {
    let status = format!("HTTP/1.1 {}", refusal.status);
    let telling = async {
        let answer = unread::whole(&status, ["connection: close"].into_iter(), refusal).unwrap_or_default();
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let (mut scratch, mut left) = ([0; 4096], UNREAD_MAX);
        while left > 0 {
            match stream.read(&mut scratch).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // Whoever does not listen is not waited for.
    let _ = timeout(TOLD_WITHIN, telling).await;
}
