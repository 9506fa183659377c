//! An upstream that sends a stream piece by piece, each when it is told to.

use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

/// How its whole answers end.
pub(crate) const ANSWER_END: &str = r#""usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}"#;
const ANSWER: &str = r#"{"id":"x","model":"vendor/real","choices":[{"index":0,"message":{"role":"assistant","content":"One two three"},"finish_reason":"stop"}],"#;
const PIECE: &str = "data: {\"id\":\"x\",\"model\":\"vendor/real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14}}\n\ndata: [DONE]\n\n";

pub(crate) struct Stepwise {
    pub(crate) base_url: String,
    steps: Arc<Semaphore>,
    /// Ends with it.
    _serving: JoinSet<()>,
}

impl Stepwise {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let steps = Arc::new(Semaphore::new(0));
        let (mut serving, its) = (JoinSet::new(), Arc::clone(&steps));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer_all(stream, Arc::clone(&its)));
            }
        });
        Self { base_url, steps, _serving: serving }
    }

    /// The next piece is sent.
    pub(crate) fn step(&self) {
        self.steps.add_permits(1);
    }
}

async fn answer_all(stream: TcpStream, steps: Arc<Semaphore>) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    while let Some(request) = next(&mut stream).await {
        if !request.contains(r#""stream":true"#) {
            let answer = format!("{ANSWER}{ANSWER_END}");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
            continue;
        }
        let pieces = request.split_once("pieces ").unwrap().1.split_once('"').unwrap().0.parse().unwrap();
        let mut head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        for _ in 0..pieces {
            steps.acquire().await.unwrap().forget();
            stream.write_all(format!("{}{:x}\r\n{PIECE}\r\n", std::mem::take(&mut head), PIECE.len()).as_bytes()).await.unwrap();
        }
        steps.acquire().await.unwrap().forget();
        stream.write_all(format!("{:x}\r\n{LAST}\r\n0\r\n\r\n", LAST.len()).as_bytes()).await.unwrap();
    }
}

/// The next request's body.
async fn next(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    String::from_utf8(body).ok()
}
