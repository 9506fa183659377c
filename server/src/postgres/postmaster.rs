//! `postmaster.pid`: what a running PostgreSQL says about itself.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const FILE: &str = "postmaster.pid";

/// What every server answers, before it knows who asks, with a single letter: whether it encrypts (`SSLRequest`,
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// How long that may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The server process of a cluster, as its file describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Postmaster {
    /// Its process.
    pub(super) pid: Pid,
    /// Its port.
    pub(super) port: u16,
    /// Whether it takes connections; else it is starting, recovering or stopping.
    pub(super) is_ready: bool,
}

impl Postmaster {
    /// Reads a cluster's file; `None` if there is none, which means that it does not run.
    pub(super) fn read(data: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(data.join(FILE)) {
            Ok(text) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The lines are: process id, data folder, start time, port, socket folder, address, shared memory, status (`pidfile.h`). It is written
    /// line by line while the server starts.
    fn parse(text: &str) -> Self {
        let line = |number: usize| text.lines().nth(number).unwrap_or_default().trim();
        Self {
            pid: Pid::from_raw(line(0).parse().unwrap_or_default()),
            port: line(3).parse().unwrap_or_default(),
            is_ready: line(7) == "ready",
        }
    }

    /// Whether the process is there, and is the server of this folder rather than a stranger who got its number.
    pub(super) fn is_alive(self, data: &Path) -> bool {
        // Negative numbers and 0 mean whole process groups. One that may not be signalled belongs to somebody else.
        if self.pid.as_raw() <= 0 || kill(self.pid, None).is_err() {
            return false;
        }
        // PostgreSQL works in its data folder. Where there is no /proc to tell, being there has to do.
        match fs::read_link(format!("/proc/{}/cwd", self.pid)) {
            Ok(cwd) => data.canonicalize().is_ok_and(|data| data == cwd),
            Err(_) => !Path::new("/proc/self").exists(),
        }
    }

    /// Whether connections are taken by more than the name of a server that is being killed: its process is there until the system has cleared it away,
    /// and so is its file. One that takes its time to answer is there.
    pub(super) fn takes_connections(self) -> bool {
        let asked = || -> io::Result<bool> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.write_all(&SSL_REQUEST)?;
            Ok(stream.read(&mut [0])? > 0)
        };
        let is_slow = |error: io::Error| matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        asked().unwrap_or_else(is_slow)
    }

    /// Asks for a fast shutdown: running transactions are rolled back.
    pub(super) fn ask_to_stop(self) -> io::Result<()> {
        match kill(self.pid, Signal::SIGINT) {
            Err(Errno::ESRCH) => Ok(()),
            asked => asked.map_err(io::Error::from),
        }
    }
}

/// Removes the file of a server that was killed.
pub(super) fn forget(data: &Path) -> io::Result<()> {
    match fs::remove_file(data.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn the_file_of_a_running_server_is_understood() {
        let text = "4711\n/var/lib/farebox/postgres/data\n1767225600\n54329\n\n127.0.0.1\n  1966090         3\nready   \n";
        assert_eq!(Postmaster::parse(text), Postmaster { pid: Pid::from_raw(4711), port: 54329, is_ready: true });
    }

    #[test]
    fn half_a_file_is_a_server_that_is_not_ready() {
        assert!(!Postmaster::parse("4711\n/var/lib").is_ready);
        assert!(!Postmaster::parse("").is_alive(Path::new("/")));
    }

    #[test]
    fn a_server_that_is_being_killed_takes_no_connections_and_a_slow_one_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Postmaster { pid: Pid::this(), port: listener.local_addr().unwrap().port(), is_ready: true };
        let next = |answer: &'static [u8]| {
            let listener = listener.try_clone().unwrap();
            thread::spawn(move || {
                let (mut client, _) = listener.accept().unwrap();
                client.read_exact(&mut [0; 8]).unwrap();
                client.write_all(answer).unwrap();
            })
        };
        for (answer, takes) in [(&b"N"[..], true), (b"", false)] {
            let answering = next(answer);
            assert_eq!(server.takes_connections(), takes, "{answer:?}");
            answering.join().unwrap();
        }
        assert!(server.takes_connections(), "it says nothing for two seconds");
        drop(listener);
        assert!(!server.takes_connections(), "nobody listens");
    }

    #[test]
    fn a_stranger_with_the_same_number_is_not_the_server() {
        let myself = Postmaster { pid: Pid::this(), port: 1, is_ready: true };
        assert!(!Path::new("/proc/self").exists() || !myself.is_alive(Path::new("/nowhere")));
    }
}
