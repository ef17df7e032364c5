//! `fer-edge run` as a service: signals, reloading, what systemd is told, and its configuration.

#[path = "serial/pty.rs"]
#[expect(dead_code, reason = "nothing goes over the line here")]
mod pty;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use fer_tests::program::{Ran, program};
use fer_tests::skip;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use pty::Cable;

/// Far beyond what anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kiosk page on a free port.
const KIOSK: &str = "[http]\nenabled = true\nlisten = '127.0.0.1:0'\n";

/// A running `fer-edge`, ended with the test.
struct Daemon {
    child: Child,
    log: Receiver<String>,
    logged: Vec<String>,
}

impl Daemon {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .all(|line| sender.send(line).is_ok())
        });
        Self {
            child,
            log,
            logged: Vec::new(),
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for a line of the log.
    fn says(&mut self, words: &str) -> String {
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else {
                panic!("expected {words:?} in {:#?}", self.logged);
            };
            self.logged.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let stdout: ChildStdout = self.child.stdout.take().unwrap();
        BufReader::new(stdout).lines().map_while(Result::ok)
    }

    fn ends(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `fer-edge run` on the demo at the speed of a camera: 14 seconds. Away from a terminal, as under systemd.
fn demo() -> Command {
    let mut command = program("fer-edge");
    command.args(["run", "--realtime"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// A folder with configuration files.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let files_of = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            files_of.write(name, text);
        }
        files_of
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn config(&self, action: &str, variables: &[(&str, &str)]) -> Ran {
        let file = self.path("fer-edge.toml");
        let mut command = program("fer-edge");
        command.args(["config", action, "--config"]).arg(file);
        Ran::of(command.envs(variables.iter().copied()))
    }
}

/// The service manager's side of sd_notify(3).
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self {
            socket,
            path,
            _folder: folder,
        }
    }

    fn watch(&self, command: &mut Command, watchdog: Duration) -> Daemon {
        command
            .env("NOTIFY_SOCKET", &self.path)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .env_remove("WATCHDOG_PID");
        Daemon::start(command)
    }

    /// The next message, if one comes in time.
    fn next(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    fn hears(&self, words: &str) -> String {
        loop {
            let message = self.next(PATIENCE);
            let message = message.unwrap_or_else(|| panic!("expected {words:?}"));
            if message.contains(words) {
                return message;
            }
        }
    }
}

#[test]
fn sigterm_ends_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start(&mut demo());
        let mut lines = daemon.lines();
        assert!(lines.next().unwrap().contains("\"source\":\"demo\""));
        daemon.signal(signal);
        daemon.says(&format!("{signal}: ending"));
        let summary = daemon.says(" frames, ");
        assert!(!summary.starts_with("210 "), "{summary}");
        assert_eq!(daemon.ends().code(), Some(0));
        // Nothing half written is left behind.
        assert!(lines.all(|line| line.ends_with('}')));
    }
}

/// It watched on when the terminal, or the connection behind it, was closed.
#[test]
fn the_end_of_its_terminal_ends_it_in_order() {
    let terminal = Cable::new();
    let stdin = File::options()
        .read(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(terminal.port())
        .unwrap();
    let mut daemon = Daemon::start(demo().stdin(stdin));
    let mut lines = daemon.lines();
    assert!(lines.next().is_some());
    daemon.signal(Signal::SIGHUP);
    daemon.says("SIGHUP: ending");
    daemon.says(" frames, ");
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn systemd_hears_ready_status_and_stopping() {
    let manager = Manager::new();
    let mut daemon = manager.watch(&mut demo(), Duration::from_secs(1));
    let first = manager.next(PATIENCE).unwrap();
    assert!(first.contains("READY=1"), "{first}");
    manager.hears("frames/s captured");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::SIGTERM);
    manager.hears("STOPPING=1");
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn an_absent_camera_is_a_state_that_is_told_and_no_fault() {
    let manager = Manager::new();
    let files = Files::new(&[(
        "fer-edge.toml",
        "[camera]\ndevice = '/dev/video-that-nobody-has'",
    )]);
    let mut command = program("fer-edge");
    let file = files.path("fer-edge.toml");
    command.args(["run", "--config"]).arg(file);
    let mut daemon = manager.watch(&mut command, Duration::from_secs(1));
    manager.hears("READY=1");
    manager.hears("waiting for the camera (");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn a_source_without_frames_is_waited_for_in_the_ready_state() {
    let manager = Manager::new();
    let mut command = program("fer-edge");
    command.args(["run", "-"]).stdin(Stdio::piped());
    // Enough for the program to know what is coming, and then silence.
    let mut daemon = manager.watch(&mut command, Duration::from_secs(1));
    let mut stdin = daemon.child.stdin.take().unwrap();
    stdin.write_all(b"YUV4MPEG2 W4 H4 F25:1 Cmono\n").unwrap();
    manager.hears("READY=1");
    manager.hears("waiting for the camera");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ends().code(), Some(0));
}

/// A pipe that takes nothing more.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    for size in [4096, 1] {
        while writer.write(&vec![b'\n'; size]).is_ok() {}
    }
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader.into(), writer.into())
}

#[test]
fn a_stuck_service_gets_no_watchdog_food_and_a_second_signal_ends_it_at_once() {
    let manager = Manager::new();
    let (_reader, writer) = full_pipe();
    let mut command = demo();
    command.stdout(writer);
    let mut daemon = manager.watch(&mut command, Duration::from_millis(200));
    manager.hears("READY=1");
    // Food would come every 100 ms.
    let fed = (0..50).take_while(|_| manager.next(Duration::from_secs(1)).is_some());
    assert!(fed.count() < 50, "it is fed on and on");
    daemon.signal(Signal::SIGINT);
    daemon.says("SIGINT: ending");
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.ends().code(), Some(130));
}

#[test]
fn sighup_applies_what_it_can_and_names_the_rest() {
    let files = Files::new(&[("fer-edge.toml", "")]);
    let mut command = demo();
    let mut daemon = Daemon::start(command.arg("--config").arg(files.path("fer-edge.toml")));
    let mut lines = daemon.lines();
    assert!(lines.any(|line| line.contains("\"label\"")));

    files.write("fer-edge.toml", "[service]\nthreshhold = 1");
    daemon.signal(Signal::SIGHUP);
    let refused = daemon.says("not reloaded");
    assert!(refused.contains("did you mean `threshold`?"), "{refused}");

    files.write(
        "fer-edge.toml",
        "[service]\nthreshold = 1\n[smoothing]\nmargin = 0.3\n[model]\npath = '/nowhere'",
    );
    daemon.signal(Signal::SIGHUP);
    let applied = daemon.says("configuration reloaded");
    assert!(
        applied.contains("smoothing, service.threshold"),
        "{applied}"
    );
    let rest = daemon.says("at the next start");
    assert!(rest.contains("model"), "{rest}");
    // Frames flow on, and nobody is that sure.
    assert!(lines.any(|line| line.contains("\"faces\":[]")));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn an_outlet_that_cannot_change_stays_as_it_is_until_it_can() {
    let files = Files::new(&[("fer-edge.toml", KIOSK)]);
    let mut command = demo();
    let mut daemon = Daemon::start(command.arg("--config").arg(files.path("fer-edge.toml")));
    let mut lines = daemon.lines();
    assert!(lines.next().is_some());

    let token = files.path("token");
    let guarded = format!("{KIOSK}token_file = '{}'", token.display());
    files.write("fer-edge.toml", &guarded);
    daemon.signal(Signal::SIGHUP);
    let kept = daemon.says("stay in force");
    assert!(kept.contains("http") && kept.contains("token"), "{kept}");
    daemon.says("changed=\"nothing\"");

    // the file is the same, but what it names is there now
    files.write("token", "0123456789abcdef");
    daemon.signal(Signal::SIGHUP);
    daemon.says("changed=\"http\"");
    files.write("token", "fedcba9876543210");
    daemon.signal(Signal::SIGHUP);
    daemon.says("changed=\"http\"");
    daemon.signal(Signal::SIGHUP);
    daemon.says("changed=\"nothing\"");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn a_stdout_that_fails_costs_the_other_outlets_nothing() {
    let files = Files::new(&[("fer-edge.toml", KIOSK)]);
    let full = || OwnedFd::from(File::options().write(true).open("/dev/full").unwrap());
    let gone = || OwnedFd::from(std::io::pipe().unwrap().1);
    let run = |stdout: OwnedFd| {
        let mut command = program("fer-edge");
        command.args(["run", "--frames", "5"]).stdout(stdout);
        command
    };
    for (stdout, reason) in [(full(), "No space left"), (gone(), "has gone")] {
        let mut command = run(stdout);
        let mut daemon = Daemon::start(command.arg("--config").arg(files.path("fer-edge.toml")));
        let warned = daemon.says("until it works again");
        assert!(warned.contains(reason), "{warned}");
        daemon.says("5 frames, ");
        assert_eq!(daemon.ends().code(), Some(0));
        let warnings = daemon.logged.iter().filter(|line| line.contains(reason));
        assert_eq!(warnings.count(), 1, "{:#?}", daemon.logged);
    }
    // with nothing else on, it ends
    for (stdout, code) in [(full(), 1), (gone(), 0)] {
        let mut daemon = Daemon::start(&mut run(stdout));
        daemon.says("0 frames, ");
        assert_eq!(daemon.ends().code(), Some(code));
    }
}

/// Starts with a kiosk page and a camera that shows nothing yet; returns the page's address too.
fn idle_kiosk(files: &Files) -> (Daemon, ChildStdin, String) {
    let mut command = program("fer-edge");
    command.args(["run", "-"]).stdin(Stdio::piped());
    command.arg("--config").arg(files.path("fer-edge.toml"));
    let mut daemon = Daemon::start(&mut command);
    let mut stdin = daemon.child.stdin.take().unwrap();
    stdin.write_all(b"YUV4MPEG2 W4 H4 F25:1 Cmono\n").unwrap();
    let listens = daemon.says("kiosk page at http://");
    let (_, address) = listens.trim_end_matches('/').rsplit_once('/').unwrap();
    (daemon, stdin, address.to_owned())
}

/// The answer to a picture of a happy face.
fn classified(address: &str) -> String {
    let picture = fs::read(skip::root().join("edge/assets/faces/happy.png")).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = picture.len();
    write!(
        stream,
        "POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&picture).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

#[test]
fn pictures_are_classified_with_the_model_of_the_start_whatever_becomes_of_its_folder() {
    let zoo = skip::root().join("models/zoo/vgg19-tiny-int8");
    let files = Files::new(&[]);
    let model = files.path("model");
    let text = format!("{KIOSK}[model]\npath = '{}'", model.display());
    files.write("fer-edge.toml", &text);
    fs::create_dir(&model).unwrap();
    for name in ["model.toml", "model.onnx"] {
        fs::copy(zoo.join(name), model.join(name)).unwrap();
    }
    let (_daemon, _stdin, address) = idle_kiosk(&files);
    fs::remove_dir_all(&model).unwrap();
    let answer = classified(&address);
    assert!(answer.contains("vgg19-tiny-int8"), "{answer}");
}

#[test]
fn the_threshold_of_the_configuration_holds_for_pictures_that_are_sent() {
    // nobody is that sure
    for (threshold, nobody) in [("0", false), ("1", true)] {
        let limits = format!("[vision]\ndetector = 'none'\n[service]\nthreshold = {threshold}");
        let files = Files::new(&[("fer-edge.toml", &format!("{KIOSK}{limits}"))]);
        let (_daemon, _stdin, address) = idle_kiosk(&files);
        let answer = classified(&address);
        assert_eq!(answer.contains("\"faces\":[]"), nobody, "{answer}");
    }
}

#[test]
fn layers_override_each_other_and_their_origin_is_shown() {
    let files = Files::new(&[
        (
            "fer-edge.toml",
            "[smoothing]\ntime_ms = 1\nmargin = 0.25\ndwell_ms = 1",
        ),
        ("conf.d/10-a.toml", "[smoothing]\ntime_ms = 2\nmargin = 0.5"),
        ("conf.d/20-b.toml", "[smoothing]\ntime_ms = 3"),
    ]);
    let shown = files
        .config("show", &[("FER_EDGE_SMOOTHING_DWELL_MS", "7")])
        .success();
    for (setting, origin) in [
        ("time_ms = 3 ", "20-b.toml"),
        ("margin = 0.5 ", "10-a.toml"),
        ("dwell_ms = 7 ", "FER_EDGE_SMOOTHING_DWELL_MS"),
        ("raw = false ", "built-in"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("{setting} in {shown}"));
        assert!(line.ends_with(origin), "{line}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_ends_with_78() {
    let files = Files::new(&[
        ("fer-edge.toml", ""),
        ("conf.d/a.toml", "[mqtt]\nhosst = 'x'"),
    ]);
    for action in ["check", "show"] {
        files
            .config(action, &[])
            .refused(78, &["conf.d/a.toml", "mqtt.hosst", "did you mean `host`?"]);
    }
    files.write("conf.d/a.toml", "[mqtt]\nport = 0");
    files
        .config("check", &[])
        .refused(78, &["conf.d/a.toml", "mqtt.port"]);
    files.write("conf.d/a.toml", "[mqtt");
    files
        .config("check", &[])
        .refused(78, &["conf.d/a.toml", "line 1"]);
    fs::remove_file(files.path("conf.d/a.toml")).unwrap();
    files.config("check", &[]).success();
    files
        .config("check", &[("FER_EDGE_MQTT_PROT", "1")])
        .refused(
            78,
            &["FER_EDGE_MQTT_PROT", "did you mean FER_EDGE_MQTT_PORT?"],
        );
    fs::remove_file(files.path("fer-edge.toml")).unwrap();
    files.config("check", &[]).refused(78, &["fer-edge.toml"]);
}

#[test]
fn secrets_are_hidden_and_an_open_file_is_pointed_out() {
    const SECRET: &str = "correct-horse-battery";
    let text = format!("[mqtt]\nusername = 'me'\npassword = '{SECRET}'");
    let files = Files::new(&[("fer-edge.toml", &text)]);
    let mode = |mode| {
        let file: &Path = &files.path("fer-edge.toml");
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let shown = files.config("show", &[]);
    assert!(
        shown.stderr.contains("can be read by everybody"),
        "{}",
        shown.stderr
    );
    mode(0o640);
    let quiet = files.config("show", &[("FER_EDGE_HTTP_TOKEN", "0123456789abcdef0123")]);
    assert!(!quiet.stderr.contains("everybody"), "{}", quiet.stderr);
    for ran in [shown, quiet] {
        assert!(!ran.stderr.contains(SECRET) && !ran.stdout.contains(SECRET));
        assert!(!ran.stdout.contains("0123456789abcdef0123"));
        assert!(ran.success().contains("password = \"[redacted]\""));
    }
}
