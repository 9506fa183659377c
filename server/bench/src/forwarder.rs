//! What metering costs shows beside a gateway of the same libraries that meters nothing: another process of this program, which passes each request on as it
//! is, with the same allocator, the same settings of its sockets and one thread.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use hyper::{Request, Uri, body::Incoming, header::HOST, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::{cores::Cores, process::Process};

/// As that of the binary under test.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// In the environment of such a process: the ports that it passes on to, and the file that it names its own in.
const PORTS: &str = "FORWARD_TO";
const FILE: &str = "FORWARD_FROM";

/// A forwarder that runs.
pub(crate) struct Forwarder {
    process: Process,
    /// One for each port that it passes on to.
    pub(crate) ports: Vec<u16>,
}

impl Forwarder {
    pub(crate) fn start(upstreams: &[u16], folder: &Path, cores: &Cores) -> Self {
        let (program, file) = (env::current_exe().expect("this program"), folder.join("forwarder"));
        let mut command = cores.for_gateway(program.to_str().expect("its path is UTF-8"));
        command.env(PORTS, listed(upstreams)).env(FILE, &file);
        let mut process = Process::start(command);
        let ports = || fs::read_to_string(&file).ok().and_then(|text| text.strip_suffix('\n').map(ports));
        process.expect("the forwarder", || ports().is_some());
        Self { process, ports: ports().expect("it was there") }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn listed(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

fn ports(listed: &str) -> Vec<u16> {
    listed.split(',').map(|port| port.parse().expect("a port")).collect()
}

/// Forwards until it is ended, if this process is to.
pub(crate) fn run_if_wanted() {
    let (Ok(upstreams), Ok(file)) = (env::var(PORTS), env::var(FILE)) else { return };
    // As the binary under test does.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true); // where it is refused, that one is refused it, too
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(forward(ports(&upstreams), file.into()));
}

async fn forward(upstreams: Vec<u16>, file: PathBuf) {
    let (mut own, tasks) = (Vec::new(), TaskTracker::new());
    for upstream in upstreams {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        own.push(listener.local_addr().unwrap().port());
        tasks.spawn(serve(listener, upstream, tasks.clone()));
    }
    // Whoever reads a part of it waits for the line feed.
    fs::write(file, listed(&own) + "\n").unwrap();
    tasks.close();
    tasks.wait().await;
}

async fn serve(listener: TcpListener, upstream: u16, tasks: TaskTracker) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).unwrap();
        let client = client.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (mut head, body) = request.into_parts();
            head.uri = Uri::try_from(format!("http://127.0.0.1:{upstream}{}", head.uri.path())).unwrap();
            head.headers.remove(HOST);
            client.request(Request::from_parts(head, body))
        });
        tasks.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
