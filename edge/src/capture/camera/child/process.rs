//! A child whose standard output is read with a limit, and that leaves nothing behind.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::driver::Fault;
use super::super::wait::readable;

/// How long a child may take to end by itself after SIGTERM: enough to release the sensor.
const GRACE: Duration = Duration::from_millis(500);

/// How long a killed child is waited for here; after that another thread does.
const REAP: Duration = Duration::from_secs(1);

/// Longest part of a child's words that is kept, in bytes.
const WORDS: usize = 400;

/// A running child. Dropping it ends its whole process group and reaps it.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Option<Child>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    words: Vec<u8>,
}

impl Process {
    /// Starts the first of `programs` that exists.
    pub(super) fn start(programs: &[OsString], args: &[String]) -> Result<Self, Fault> {
        let mut missing = io::Error::from(io::ErrorKind::NotFound);
        for program in programs {
            match Self::spawn(program, args) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing = error,
                Err(error) => return Err(Fault::io(program.to_string_lossy(), error)),
                Ok(process) => return Ok(process),
            }
        }
        let names: Vec<_> = programs.iter().map(|p| p.to_string_lossy()).collect();
        Err(Fault::io(names.join(" or "), missing))
    }

    fn spawn(program: &OsStr, args: &[String]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its helpers are to end with it, and a Ctrl-C in a terminal is for us to pass on.
            .process_group(0)
            .spawn()?;
        let stderr = child.stderr.take();
        let Some(stdout) = child.stdout.take() else {
            return Err(io::Error::other("no pipe from the child"));
        };
        Ok(Self {
            name: program.to_string_lossy().into_owned(),
            child: Some(child),
            stdout,
            stderr,
            words: Vec::new(),
        })
    }

    /// The program.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads what has come, waiting at most about `wait`; nothing when nothing has.
    ///
    /// What the child says on stderr is taken off it, so that it never blocks there.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        wait: Duration,
    ) -> Result<Option<usize>, Fault> {
        let [pictures, words] = self.ready(wait).map_err(|e| Fault::io(&self.name, e))?;
        if words {
            self.listen();
        }
        if !pictures {
            return Ok(None);
        }
        match self.stdout.read(buffer) {
            Ok(0) => Err(self.ended()),
            Ok(read) => Ok(Some(read)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(e) => Err(Fault::io(&self.name, e)),
        }
    }

    fn ready(&self, wait: Duration) -> io::Result<[bool; 2]> {
        let stdout = self.stdout.as_fd();
        match &self.stderr {
            Some(stderr) => readable([stdout, stderr.as_fd()], wait),
            None => readable([stdout], wait).map(|[stdout]| [stdout, false]),
        }
    }

    /// Takes what is on stderr and keeps the end of it.
    fn listen(&mut self) {
        let mut chunk = [0; 4096];
        let read = self.stderr.as_mut().map_or(Ok(0), |s| s.read(&mut chunk));
        match read {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => self.stderr = None,
            Ok(read) => {
                let said = &chunk[..read];
                tracing::debug!(
                    child = self.name,
                    "{}",
                    String::from_utf8_lossy(said).trim_end()
                );
                self.words.extend_from_slice(said);
                let surplus = self.words.len().saturating_sub(WORDS);
                self.words.drain(..surplus);
            }
        }
    }

    /// The fault that tells how and with which last words the child ended.
    fn ended(&mut self) -> Fault {
        let status = self.stop();
        let words = String::from_utf8_lossy(&self.words);
        let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
        let status = status.map_or_else(String::new, |s| format!(" ({s})"));
        Fault::Ended {
            what: self.name.clone(),
            words: format!(
                "{status}{}",
                last.map_or_else(String::new, |l| format!(": {l}"))
            ),
        }
    }

    /// Ends the process group: SIGTERM, a short grace while its pipes are drained, SIGKILL.
    fn stop(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let group = Pid::from_raw(child.id() as i32);
        // The group's number can't have been given away: its leader isn't reaped yet. An error means
        // that nobody is left in it.
        let _ = killpg(group, Signal::SIGTERM);
        self.drain(Instant::now() + GRACE);
        let _ = killpg(group, Signal::SIGKILL);
        let deadline = Instant::now() + REAP;
        while Instant::now() < deadline {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
        // Stuck in the kernel, as with a dead sensor driver. It is reaped whenever it comes back.
        tracing::warn!(child = self.name, "can't be killed yet");
        let _ = thread::Builder::new()
            .name("reaper".to_owned())
            .spawn(move || child.wait());
        None
    }

    /// Throws away what comes until both pipes have ended, which is when the child has.
    fn drain(&mut self, deadline: Instant) {
        let mut chunk = [0; 16 << 10];
        let mut talking = true;
        while talking || self.stderr.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            let ready = if talking {
                self.ready(left)
            } else {
                let stderr = self.stderr.as_ref().map(|s| readable([s.as_fd()], left));
                stderr.map_or(Ok([false; 2]), |r| r.map(|[words]| [false, words]))
            };
            let Ok([pictures, words]) = ready else { return };
            if words {
                self.listen();
            }
            if pictures {
                talking = !matches!(self.stdout.read(&mut chunk), Ok(0) | Err(_));
            }
            if left.is_zero() {
                return;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
