//! Cores, processor time and memory, as Linux tells of them.

use std::{fs, process::Command};

/// On which cores what runs.
pub(crate) struct Cores {
    /// The gateway's one; `None` where nothing can be pinned.
    gateway: Option<String>,
    /// All others, as `taskset` lists them.
    others: String,
}

impl Cores {
    /// The first core that this process may use is the gateway's; this process, and what it starts, keeps to the others. Says so, or why
    /// not.
    pub(crate) fn split() -> Self {
        let nothing = |why: &str| {
            println!("Nothing is pinned, so that gateway, load and upstream take turns and the figures say little: {why}.");
            Self { gateway: None, others: String::new() }
        };
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells of this process");
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the cores that may be used");
        let cores = listed(allowed.trim());
        let [gateway, others @ ..] = cores.as_slice() else { return nothing("no core is listed") };
        if others.is_empty() {
            return nothing("there is one core");
        }
        let others = others.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let cores = Self { gateway: Some(gateway.to_string()), others };
        if !cores.keep_off(std::process::id()) {
            return nothing("`taskset` does not pin (Debian has it in util-linux)");
        }
        println!("Pinned: the gateway to core {gateway}; load, upstream and PostgreSQL to {}.", cores.others);
        cores
    }

    /// Keeps a process, and what it will start, off the gateway's core. Returns whether it is so.
    pub(crate) fn keep_off(&self, pid: u32) -> bool {
        self.gateway.is_none() || moved(&self.others, pid)
    }

    /// Lets a process run wherever this one could.
    pub(crate) fn let_go(&self, pid: u32) {
        if let Some(gateway) = &self.gateway {
            moved(&format!("{gateway},{}", self.others), pid);
        }
    }

    /// A command that runs on the gateway's core. Its process is the program's own.
    pub(crate) fn for_gateway(&self, program: &str) -> Command {
        let Some(core) = &self.gateway else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["-c", core, program]);
        command
    }
}

fn moved(cores: &str, pid: u32) -> bool {
    let output = Command::new("taskset").args(["-acp", cores, &pid.to_string()]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The numbers in a list like `0-3,8`.
fn listed(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// What `/proc/PID/stat` says from its third field on, if the process is there.
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// Of all its threads, those that have ended too; microseconds.
    pub(crate) cpu_us: u64,
    /// Of its children that have ended; microseconds.
    pub(crate) children_cpu_us: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        /// Linux counts in hundredths of a second for programs, whatever it counts in itself.
        const TICK_US: u64 = 10_000;
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            cpu_us: (ticks(11)? + ticks(12)?) * TICK_US,
            children_cpu_us: (ticks(13)? + ticks(14)?) * TICK_US,
        })
    }
}

/// The processes that this one has started and that run.
pub(crate) fn children(parent: u32) -> Vec<(u32, Stat)> {
    let processes = fs::read_dir("/proc").expect("Linux lists processes").filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        Some((pid, Stat::of(pid)?))
    });
    processes.filter(|(_, stat)| stat.parent == parent).collect()
}

/// What a process has in memory, in KiB.
pub(crate) fn memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number of KiB")
}

/// Has timers of this thread, and of those that it starts, fire when they are due rather than up to 50 µs later, and this process have as
/// many files open as it may. Where that is refused, direct and both gateways suffer alike, or the bench fails for want of files.
pub(crate) fn prepare(files: usize) {
    let _ = fs::write("/proc/self/timerslack_ns", "1");
    let pid = std::process::id().to_string();
    let _ = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).status();
}
