//! The farebox under test: what its customers need is made by its command line, then it serves on the gateway's core.

use std::{env, fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::{cores::Cores, process::Process};

/// A binary with a database and a data folder.
pub(crate) struct Place {
    binary: PathBuf,
    folder: PathBuf,
    database_url: String,
}

impl Place {
    /// The binary is the one that `FAREBOX` names, else that of the release.
    pub(crate) fn new(folder: PathBuf, database_url: String) -> Self {
        let target = || env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let binary = env::var_os("FAREBOX").map_or_else(|| target().join("release/farebox"), PathBuf::from);
        let binary = fs::canonicalize(&binary).unwrap_or_else(|error| panic!("{}: {error}: run `make build` first", binary.display()));
        Self { binary, folder, database_url }
    }

    /// Completes a command that runs it with nothing of the bench's own environment.
    fn command(&self, mut command: Command, args: &[&str]) -> Command {
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", &self.folder);
        command.env("DATABASE_URL", &self.database_url).env("FAREBOX_SECRET_KEY", "0a".repeat(32));
        command.args(args).arg("--data-dir").arg(self.folder.join("data"));
        command
    }

    /// Runs a command to its end; panics unless it succeeds. Returns what it printed.
    fn json(&self, args: &[&str], secret: &str) -> Value {
        let mut command = self.command(Command::new(&self.binary), args);
        let output = command.arg("--json").env("SECRET", secret).output().expect("farebox runs");
        assert!(output.status.success(), "farebox {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("farebox {args:?}: {error}"))
    }

    /// Makes the schema, and each model with an upstream at this port.
    pub(crate) fn prepare(&self, models: &[(&str, u16)]) {
        self.json(&["migrate"], "");
        for (model, port) in models {
            let url = format!("http://127.0.0.1:{port}/v1");
            let provider = ["provider", "add", model, "--base-url", &url, "--allow-private", "--credential-env", "SECRET"];
            self.json(&provider, "sk-upstream");
            self.json(&["model", "add", model, "--provider", model, "--context-window", "128000", "--default-output-hold", "1024"], "");
            self.json(&["price", "set", model, "--input", "0.00015", "--output", "0.0006"], "");
        }
    }

    /// Makes an account with more credit than all calls can take. Returns its key.
    pub(crate) fn customer(&self) -> String {
        self.json(&["account", "create", "Example", "--email", "owner@example.com", "--password-env", "SECRET"], "a long password");
        self.json(&["account", "credit", "Example", "1000000", "--reason", "For many calls"], "");
        let key = self.json(&["key", "create", "Example", "--name", "bench"], "");
        key["key"].as_str().expect("the key").to_owned()
    }

    /// Starts the proxy, with a real spool. Returns it with its port.
    pub(crate) fn serve(&self, cores: &Cores) -> (Process, u16) {
        let ready_file = self.folder.join("ready.json");
        let binary = self.binary.to_str().expect("its path is UTF-8");
        let args = ["serve", "--only", "proxy", "--proxy-addr", "127.0.0.1:0", "--spool-sync", "os"];
        let mut command = self.command(cores.for_gateway(binary), &args);
        command.arg("--ready-file").arg(&ready_file);
        let mut process = Process::start(command);
        let ready = || serde_json::from_slice::<Value>(&fs::read(&ready_file).unwrap_or_default());
        process.expect("farebox", || ready().is_ok());
        let ready = ready().expect("it was there");
        let url = ready["proxy_url"].as_str().expect("it serves the proxy");
        let port = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        (process, port.unwrap_or_else(|| panic!("no port in {url}")))
    }

    /// What `farebox verify` says: how many calls it has recomputed, and how many problems it has found.
    pub(crate) fn verify(&self) -> (u64, usize) {
        let output = self.command(Command::new(&self.binary), &["verify", "--json"]).output().expect("farebox runs");
        let proof: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("farebox verify: {error}"));
        let faults = proof["faults"].as_array().expect("a list of faults");
        for fault in faults {
            println!("farebox verify: {fault}");
        }
        (proof["calls"].as_u64().expect("a number of calls"), faults.len())
    }
}
