//! A farebox process and its data folder.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Long enough for a slow machine; a test that gets there has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// What is tested: the binary of these tests' own build, or the one that `make faults` names, which is the release.
fn binary() -> OsString {
    std::env::var_os("FAREBOX_FAULTS_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_farebox").into())
}

/// A folder that is gone when the test ends, with the cluster that a killed farebox may have left in it.
pub(crate) struct Place {
    folder: PathBuf,
    /// What every process here is told.
    environment: Vec<(&'static str, String)>,
    /// The command that starts them, with what it is told, if they do not start by themselves.
    under: Vec<String>,
}

impl Place {
    /// A new, empty one, into which the unprivileged user can look that farebox becomes when the tests run as root.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("farebox-it-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a temporary folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        Self { folder, environment: Vec::new(), under: Vec::new() }
    }

    /// The same, on a database that others use as well, with the secret key that they all have.
    pub(crate) fn on(database_url: &str) -> Self {
        let mut place = Self::new();
        place.tell("DATABASE_URL", database_url.to_owned());
        place.tell("FAREBOX_SECRET_KEY", "0a".repeat(32));
        place
    }

    /// Sets an environment variable of every process that is started here from now on.
    pub(crate) fn tell(&mut self, variable: &'static str, value: String) {
        self.environment.push((variable, value));
    }

    /// Has every process that is started here from now on believe that there is one core: what is as many as there are cores is one then.
    pub(crate) fn have_one_core(&mut self) {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the cores that may be used");
        let first = allowed.trim().split([',', '-']).next().expect("one at least");
        self.under = ["taskset", "-c", first].map(str::to_owned).into();
    }

    /// Has no process that is started here from now on open more files than so many, whatever it asks for.
    pub(crate) fn have_files(&mut self, many: u32) {
        self.under = ["prlimit".to_owned(), format!("--nofile={many}:{many}")].into();
    }

    /// What its server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).expect("a server was started")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("serve.log")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A command on this place, without whatever the test's own environment says.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let farebox = binary();
        let mut command = match self.under.split_first() {
            Some((under, told)) => {
                let mut command = Command::new(under);
                command.args(told).arg(farebox);
                command
            }
            None => Command::new(farebox),
        };
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.folder);
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        command.args(args).arg("--data-dir").arg(self.data()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; panics unless it succeeds. Returns what it printed, as JSON.
    pub(crate) fn json(&self, args: &[&str], secret: &str) -> Value {
        let output = self.command(args).arg("--json").env("SECRET", secret).output().expect("farebox runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "farebox {args:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("farebox {args:?}: {error}"))
    }

    /// Runs a command that must fail. Returns its exit code and what it said.
    pub(crate) fn refusal(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(args).output().expect("farebox runs");
        assert!(!output.status.success(), "farebox {args:?} succeeded");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What `farebox verify` finds: nothing, or the faults.
    pub(crate) fn verify(&self) -> Vec<Value> {
        let output = self.command(&["verify", "--json"]).output().expect("farebox runs");
        let proof: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let faults = proof["faults"].as_array().expect("a list of faults").clone();
        assert_eq!(output.status.code(), Some(i32::from(!faults.is_empty())));
        faults
    }

    /// Whether the place's PostgreSQL has ended in order.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.postmaster_pid().exists()
    }

    /// Where a PostgreSQL that runs says so.
    pub(crate) fn postmaster_pid(&self) -> PathBuf {
        self.data().join("postgres/data/postmaster.pid")
    }

    /// Starts `farebox serve` on free ports, unless `args` name others, and waits until everything answers.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        self.serve_by(args, |_| {})
    }

    /// The same, keeping what it logs.
    pub(crate) fn serve_logged(&self, args: &[&str]) -> Server {
        let log = fs::File::options().create(true).append(true).open(self.log_file()).expect("the folder is ours");
        self.serve_by(args, |command| {
            command.stderr(log);
        })
    }

    fn serve_by(&self, args: &[&str], prepare: impl FnOnce(&mut Command)) -> Server {
        let ready_file = self.folder.join("ready.json");
        let mut command = self.command(&["serve"]);
        for address in ["--console-addr", "--proxy-addr"].iter().filter(|address| !args.contains(address)) {
            command.args([address, "127.0.0.1:0"]);
        }
        command.args(args).arg("--ready-file").arg(&ready_file);
        prepare(&mut command);
        let process = Process::start(command);
        process.wait_for_line(|line| line.contains("Farebox is ready"));
        let ready = fs::read_to_string(&ready_file).expect("the ready file is written before people are told");
        Server { process, ready: serde_json::from_str(&ready).expect("the ready file is JSON") }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.data().exists() && !self.is_quiet() {
            // Joins the cluster that was left running and stops it, being the last to leave.
            let _ = self.command(&["migrate"]).output();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A `farebox serve` that answers.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// What its ready file says.
    pub(crate) ready: Value,
}

impl Server {
    /// A text of the ready file.
    pub(crate) fn said(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.ready))
    }
}

/// A running process whose output is read line by line. Dropping it stops it.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("farebox starts");
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits for a line of its output.
    pub(crate) fn wait_for_line(&self, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("farebox prints the line before it ends");
            if is_it(&line) {
                return line;
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self, signal: Signal) -> ExitStatus {
        kill(self.pid(), signal).expect("it runs");
        self.wait()
    }

    /// Waits until it has ended, as it was asked to.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.wait()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }

    fn wait(&mut self) -> ExitStatus {
        // The end of its output is its end; waiting for that, unlike for the process, can be given up.
        while self.lines.recv_timeout(PATIENCE).map_err(|error| assert_ne!(error, std::sync::mpsc::RecvTimeoutError::Timeout)).is_ok() {}
        self.child.wait().expect("it has ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}
