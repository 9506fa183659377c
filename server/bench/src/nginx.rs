//! nginx: as the upstream whose answers cost next to nothing, and as the plain proxy that Farebox is compared with.

use std::{fs, net::TcpStream, path::Path, process::Command};

use crate::{
    cores::Cores,
    process::{Process, free_port},
};

/// What a chat completion looks like.
pub(crate) const ANSWER: &str = r#"{"id":"chatcmpl-CfKq2vXoB1n7mT0aZr5sYw3uE9dGh","object":"chat.completion","created":1795683600,"model":"small-2026-08-07","choices":[{"index":0,"message":{"role":"assistant","content":"A farebox is the box beside the driver into which passengers drop their fare. It takes coins and tickets, counts them, and keeps them locked until the end of the shift, when the vault is pulled and its contents are compared with what the meter says was paid.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":231,"completion_tokens":57,"total_tokens":288,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_51e1070cf2"}"#;

/// One process, which is its own worker; it ends with its value.
pub(crate) struct Nginx {
    process: Process,
    /// Where it listens, in the order of what was asked for.
    pub(crate) ports: Vec<u16>,
}

/// What it does at a port.
pub(crate) enum Task {
    /// Gives [`ANSWER`].
    Answer,
    /// Passes requests on to this port, over connections that it keeps.
    PassOn(u16),
}

impl Nginx {
    /// Starts one, on the gateway's core if `cores` are given.
    pub(crate) fn start(name: &str, tasks: &[Task], folder: &Path, cores: Option<&Cores>) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("the folder is ours");
        let ports: Vec<u16> = tasks.iter().map(|_| free_port()).collect();
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(&ports, tasks)).expect("the folder is ours");
        let mut command = cores.map_or_else(|| Command::new("nginx"), |cores| cores.for_gateway("nginx"));
        command.arg("-p").arg(&folder).arg("-c").arg(&file).args(["-e", "error.log"]);
        let mut process = Process::start(command);
        process.expect("nginx", || ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()));
        Self { process, ports }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Nothing is logged and nothing is written to disk; a usual request's head and body are read at once.
fn configuration(ports: &[u16], tasks: &[Task]) -> String {
    let servers: String = ports.iter().zip(tasks).map(|(port, task)| server(*port, task)).collect();
    format!(
        "daemon off; master_process off; pid nginx.pid; worker_rlimit_nofile 16384;
        events {{ worker_connections 8192; }}
        http {{
            access_log off; default_type application/json; tcp_nodelay on;
            keepalive_timeout 600s; keepalive_requests 1000000000;
            client_header_buffer_size 4k; client_max_body_size 32m;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            {servers}
        }}"
    )
}

fn server(port: u16, task: &Task) -> String {
    match task {
        Task::Answer => format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{ANSWER}'; }} }}\n"),
        Task::PassOn(to) => format!(
            "upstream at{to} {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 1000000000; keepalive_timeout 600s; }}
            server {{
                listen 127.0.0.1:{port};
                location / {{ proxy_pass http://at{to}; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off; }}
            }}\n"
        ),
    }
}

/// Whether there is one; if not, says how to get it.
pub(crate) fn is_there() -> bool {
    let found = Command::new("nginx").arg("-v").output();
    let Ok(output) = found else {
        println!("nginx is missing, which Farebox is compared with: `sudo apt-get install nginx-light`, or `brew install nginx`.");
        return false;
    };
    println!("{}", String::from_utf8_lossy(&output.stderr).trim());
    true
}
