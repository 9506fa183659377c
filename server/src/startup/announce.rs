//! Says that everything answers, once it does.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    demo::SignIns,
    ready::{Ready, ReadyFile},
};

/// How long the first answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Asks each listener for an answer, then tells people and programs.
pub(super) async fn when_answering(
    bound: &[SocketAddr],
    ready: &Ready,
    data_dir: &Path,
    ready_file: Option<&ReadyFile>,
) -> anyhow::Result<()> {
    for address in bound {
        let answered = timeout(ANSWER_TIMEOUT, answers(*address)).await.map_err(io::Error::from).flatten();
        answered.with_context(|| format!("{address} does not answer"))?;
    }
    if let Some(ready_file) = ready_file {
        ready_file.write(ready)?;
    }
    // Whoever closed stdout does not want to read it.
    let _ = io::stdout().write_all(greeting(ready, data_dir).as_bytes());
    Ok(())
}

/// Whether HTTP is spoken there: any answer will do.
async fn answers(address: SocketAddr) -> io::Result<()> {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let mut stream = TcpStream::connect((host, address.port())).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", SocketAddr::new(host, address.port()));
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0; 5];
    stream.read_exact(&mut start).await?;
    if start == *b"HTTP/" { Ok(()) } else { Err(io::Error::other("not HTTP")) }
}

/// What a person at the terminal needs to know.
fn greeting(ready: &Ready, data_dir: &Path) -> String {
    let mut lines = vec![String::new(), "Farebox is ready.".to_owned(), String::new()];
    lines.extend(ready.console_url.iter().map(|url| format!("  Console   {url}")));
    lines.extend(ready.proxy_url.iter().map(|url| format!("  Proxy     {url}/v1")));
    lines.push(format!("  Data      {}", data_dir.display()));
    if let Some(sign_ins) = &ready.demo {
        lines.extend(demo(sign_ins, ready.proxy_url.as_deref()));
    }
    lines.extend([String::new(), "Ctrl-C stops it.".to_owned(), String::new(), String::new()]);
    lines.join("\n")
}

/// Who can look around, and a first call to paste.
fn demo(sign_ins: &SignIns, proxy_url: Option<&str>) -> Vec<String> {
    let SignIns { customer, second_customer, operator } = sign_ins;
    let mut lines = vec![String::new(), "Demo data. Sign in as".to_owned(), String::new()];
    for (who, sign_in) in [("customer", customer), ("another", second_customer), ("operator", operator)] {
        lines.push(format!("  {who:<9} {:<24} password {}", sign_in.email, sign_in.password));
    }
    if let (Some(url), Some(key)) = (proxy_url, &customer.key) {
        lines.extend([
            String::new(),
            "The first call:".to_owned(),
            String::new(),
            format!("  curl {url}/v1/chat/completions \\"),
            format!("    -H 'Authorization: Bearer {key}' \\"),
            "    -H 'Content-Type: application/json' \\".to_owned(),
            "    -d '{\"model\": \"demo-mini\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'".to_owned(),
        ]);
    }
    lines
}
