//! mosquitto as a broker that can be killed and started again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use fer_tests::skip;
use tempfile::TempDir;

/// A broker without persistence: what it has not passed on when it dies is gone.
pub(crate) struct Broker {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    /// A running broker with further lines of configuration, `FOLDER` standing for its folder, which
    /// `prepare` may fill. Nothing, and a note, where mosquitto is not installed.
    pub(crate) fn start(configuration: &str, prepare: impl FnOnce(&Path)) -> Option<Self> {
        let Some(program) = find("mosquitto") else {
            skip::skip("no mosquitto (apt-get install mosquitto): MQTT was not tried");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let port = free_port();
        let more = configuration.replace("FOLDER", folder.path().to_str().unwrap());
        let text = format!(
            "listener {port} 127.0.0.1\nuser root\npersistence false\nlog_dest stderr\nlog_type information\n{more}\n"
        );
        fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Self {
            program,
            folder,
            port,
            child: None,
        };
        broker.restart();
        Some(broker)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let mut child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        loop {
            let Some(Ok(line)) = log.next() else {
                panic!("mosquitto did not start: {said:?}")
            };
            if line.ends_with(" running") {
                break;
            }
            said.push(line);
        }
        // A full pipe would stop the broker.
        thread::spawn(move || log.for_each(drop));
        self.child = Some(child);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program on the path, or where Debian keeps daemons, which is not on everybody's path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
