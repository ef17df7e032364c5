//! The ways out: broker, serial line, kiosk page, and the light.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use fer_models::Manifest;
use nix::sys::termios::{self, SetArg};

use super::device;
use super::finding::Finding;
use crate::config::Config;
use crate::publish::mqtt;
use crate::publish::serial::{self, tty::Tty};
use crate::service::device as identity;
use crate::{http, led, secret};

/// The LEDs that the unit of the Debian package opens to the service.
pub(super) const LEDS_OF_THE_SERVICE: &str = "/sys/devices/platform/leds";

/// Nothing where MQTT is off.
pub(super) fn mqtt(config: &Config) -> Option<Finding> {
    const SUBJECT: &str = "mqtt";
    let settings = &config.mqtt;
    if !settings.is_on() {
        return None;
    }
    let broker = format!("{}:{}", settings.host, settings.port());
    if let Some(name) = credential(settings.password_file.as_deref()) {
        return Some(sealed(SUBJECT, &format!("{broker} was not tried"), name));
    }
    Some(
        match mqtt::probe(settings, &identity::id(&config.service)) {
            Ok(refused) if refused.is_empty() => {
                Finding::good(SUBJECT, format!("{broker} answers"))
            }
            Ok(refused) => Finding::problem(
                SUBJECT,
                format!("{broker} refuses to pass on {}", refused.join(" ")),
                "nothing on these topics arrives: allow this user to read them in the broker's access control list",
            ),
            Err(reason) => Finding::problem(
                SUBJECT,
                format!("{broker}: {reason}"),
                "check mqtt.host, mqtt.port, mqtt.username and the password, and that the broker runs",
            ),
        },
    )
}

/// A secret's file, if nobody but the service can read it.
fn credential(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| secret::is_for_the_service(file))
}

fn sealed(subject: &'static str, seen: &str, name: &Path) -> Finding {
    let name = name.display();
    Finding::note(
        subject,
        format!("{seen}: only the service can read the credential {name}"),
        format!(
            "`systemctl cat fer-edge` has to show LoadCredential={name}:FILE; whether it is right, \
             `journalctl -u fer-edge` tells"
        ),
    )
}

/// Nothing where there is no serial line. The model's names have to fit into its frames, and the kernel's command line
/// tells whether it is a console.
pub(super) fn serial(
    settings: &serial::Settings,
    model: Option<&Manifest>,
    command_line: &Path,
) -> Option<Finding> {
    const SUBJECT: &str = "serial";
    let port = settings.port.as_deref()?;
    let told = |model: &Manifest| serial::Identity {
        firmware: String::new(),
        model: model.name.clone(),
        labels: Arc::new(model.labels.clone()),
    };
    if let Some(error) = model.and_then(|model| told(model).check().err()) {
        let advice = "the service doesn't start with it: export the model anew, with shorter names or fewer labels";
        return Some(Finding::problem(SUBJECT, error.to_string(), advice));
    }
    let file = match device::open(port) {
        Ok(file) => file,
        Err(error) => return Some(device::refused(SUBJECT, port, &error)),
    };
    let real = port.canonicalize();
    let real = real.as_deref().unwrap_or(port);
    let consoles = fs::read_to_string(command_line).unwrap_or_default();
    let is_console = consoles
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("console="))
        .filter_map(|console| console.split(',').next())
        .any(|console| real.file_name().is_some_and(|name| name == console));
    let name = port.display();
    if is_console {
        return Some(Finding::problem(
            SUBJECT,
            format!("{name} is the kernel's console"),
            "take it off: `sudo raspi-config`, Interface Options, Serial Port, no login shell",
        ));
    }
    Some(match set_up(&file, port, settings) {
        Ok(()) => Finding::good(SUBJECT, format!("{name} at {} baud", settings.baud)),
        Err(error) => match error.kind() {
            ErrorKind::ResourceBusy => Finding::note(
                SUBJECT,
                format!("{name}: {error}"),
                format!(
                    "all is well if that is the service; if not, see who has it: `sudo fuser -v {name}`"
                ),
            ),
            ErrorKind::InvalidInput => Finding::problem(
                SUBJECT,
                format!("{name}: {error}"),
                "set serial.port to a serial port, and serial.baud to a speed that it has",
            ),
            _ => device::refused(SUBJECT, port, &error),
        },
    })
}

/// Sets an open port up as the service does, and back, as another program may want it otherwise.
fn set_up(file: &File, port: &Path, settings: &serial::Settings) -> io::Result<()> {
    if settings.driver != serial::Driver::Tty {
        return Ok(());
    }
    let before = termios::tcgetattr(file);
    // Open, it holds the lock until the mode is back.
    let opened = Tty::open(port, settings.baud);
    let is_busy = matches!(&opened, Err(error) if error.kind() == ErrorKind::ResourceBusy);
    if let Ok(mode) = before
        && !is_busy
    {
        // Fails where the port has gone, and its mode with it.
        let _ = termios::tcsetattr(file, SetArg::TCSANOW, &mode);
    }
    opened.map(drop)
}

/// Nothing where there is no server.
pub(super) fn http(settings: &http::Settings) -> Option<Finding> {
    const SUBJECT: &str = "http";
    if !settings.enabled {
        return None;
    }
    let sealed_in = credential(settings.token_file.as_deref());
    if sealed_in.is_none()
        && let Err(error) = settings.secret()
    {
        let advice =
            "write at least 16 characters into the file, for example by `openssl rand -hex 16`";
        return Some(Finding::problem(SUBJECT, error.to_string(), advice));
    }
    let listen = settings.listen;
    Some(match TcpListener::bind(listen) {
        Ok(_) => {
            let seen = format!("{listen} is free");
            match sealed_in {
                Some(name) => sealed(SUBJECT, &seen, name),
                None => Finding::good(SUBJECT, seen),
            }
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::note(
            SUBJECT,
            format!("{listen} is in use"),
            "all is well if that is the service; if not, choose another http.listen",
        ),
        Err(error) => Finding::problem(
            SUBJECT,
            format!("{listen}: {error}"),
            "choose an address of this machine and a port above 1023 for http.listen",
        ),
    })
}

/// Nothing where there is no light of the kernel's. The Debian package's service can write only those in one folder.
pub(super) fn led(settings: &led::Settings, of_the_service: &Path) -> Option<Finding> {
    const SUBJECT: &str = "led";
    let folder = settings.sysfs.as_deref()?;
    if let Err((file, error)) = led::SysfsLed::reach(folder) {
        return Some(device::refused(SUBJECT, &file, &error));
    }
    let name = folder.display();
    let real = folder.canonicalize();
    let real = real.as_deref().unwrap_or(folder);
    if real.starts_with(of_the_service) {
        return Some(Finding::good(SUBJECT, name.to_string()));
    }
    let real = real.display();
    Some(Finding::note(
        SUBJECT,
        format!("{name} is {real}, which the Debian package's unit doesn't let the service write"),
        format!(
            "unless that is done: `sudo systemctl edit fer-edge`, and there `[Service]` and \
             `ReadWritePaths=-{real}`"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;
    use std::thread;

    use fer_models::{Labels, ModelPackage};
    use fer_wire::{MAX_LABELS, MAX_NAME_BYTES};
    use nix::pty::{OpenptyResult, openpty};
    use nix::unistd::ttyname;

    use super::super::finding::Level;
    use super::*;

    /// A port whose far end is open, and its settings.
    fn pty() -> (OpenptyResult, serial::Settings) {
        let pty = openpty(None, None).unwrap();
        let settings = serial::Settings {
            port: Some(ttyname(&pty.slave).unwrap()),
            ..serial::Settings::default()
        };
        (pty, settings)
    }

    #[test]
    fn a_console_is_no_line_for_reports() {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("serial0");
        let command_line = folder.path().join("cmdline");
        let look = || {
            let settings = serial::Settings {
                port: Some(port.clone()),
                ..serial::Settings::default()
            };
            serial(&settings, None, &command_line).unwrap()
        };
        assert_eq!(look().level, Level::Problem);
        let (_pty, settings) = pty();
        let real = settings.port.unwrap();
        symlink(&real, &port).unwrap();
        assert_eq!(look().level, Level::Good);
        let name = real.file_name().unwrap().to_str().unwrap();
        let consoles = format!("quiet console={name},115200 console=tty1");
        fs::write(&command_line, consoles).unwrap();
        assert!(look().seen.contains("console"));
        fs::write(&command_line, "quiet console=tty1").unwrap();
        assert!(!look().seen.contains("console"));
        let off = serial::Settings::default();
        assert_eq!(serial(&off, None, &command_line), None);
    }

    #[test]
    fn a_model_that_no_frame_can_name_is_a_problem_as_the_service_ends_with_it() {
        let (_pty, settings) = pty();
        let look =
            |model: &Manifest| serial(&settings, Some(model), Path::new("/nowhere")).unwrap();
        let mut model = ModelPackage::embedded().manifest;
        assert_eq!(look(&model).level, Level::Good);
        let labels = (0..=MAX_LABELS).map(|n| format!("label {n}")).collect();
        let mut many = model.clone();
        many.labels = Labels::new(labels).unwrap();
        let finding = look(&many);
        assert!(finding.level == Level::Problem && finding.seen.contains("labels"));
        model.name = "m".repeat(MAX_NAME_BYTES + 1);
        let finding = look(&model);
        assert!(finding.level == Level::Problem && finding.seen.contains(&model.name));
    }

    #[test]
    fn what_the_service_can_not_open_as_a_serial_port_is_a_problem() {
        let settings = serial::Settings {
            port: Some("/dev/null".into()),
            ..serial::Settings::default()
        };
        let finding = serial(&settings, None, Path::new("/nowhere")).unwrap();
        assert_eq!(finding.level, Level::Problem, "{finding}");
        assert!(finding.seen.contains("not a serial port"), "{finding}");
    }

    #[test]
    fn a_port_is_left_as_it_was_and_to_the_service_that_has_it() {
        let flags = |port: &OpenptyResult| {
            let mode = termios::tcgetattr(&port.slave).unwrap();
            (mode.input_flags, mode.control_flags, mode.local_flags)
        };
        let look = |port: &OpenptyResult, settings: &serial::Settings| {
            let before = flags(port);
            let finding = serial(settings, None, Path::new("/nowhere")).unwrap();
            assert_eq!(flags(port), before);
            finding.level
        };
        let (free, settings) = pty();
        assert_eq!(look(&free, &settings), Level::Good);
        let (busy, settings) = pty();
        let _service = Tty::open(settings.port.as_deref().unwrap(), 9600).unwrap();
        assert_eq!(look(&busy, &settings), Level::Note);
    }

    #[test]
    fn a_credential_that_only_the_service_can_read_is_no_problem() {
        const NAME: &str = "no-such-credential";
        let mut config = Config::default();
        config.mqtt.host = "127.0.0.1".to_owned();
        config.mqtt.username = Some("kiosk".to_owned());
        config.http.enabled = true;
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        for (file, level) in [
            (NAME.to_owned(), Level::Note),
            (format!("/nowhere/{NAME}"), Level::Problem),
        ] {
            config.mqtt.password_file = Some(file.clone().into());
            config.http.token_file = Some(file.into());
            for finding in [mqtt(&config), http(&config.http)] {
                let finding = finding.unwrap();
                assert_eq!(finding.level, level, "{finding}");
                assert!(finding.seen.contains(NAME), "{finding}");
            }
        }
    }

    #[test]
    fn a_taken_port_is_told_from_an_impossible_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let look = |listen: &str| {
            let settings = http::Settings {
                enabled: true,
                listen: listen.parse().unwrap(),
                ..http::Settings::default()
            };
            http(&settings).unwrap().level
        };
        let address = taken.local_addr().unwrap().to_string();
        assert_eq!(look(&address), Level::Note);
        drop(taken);
        assert_eq!(look(&address), Level::Good);
        // An address of documentation (RFC 5737): nobody's.
        assert_eq!(look("192.0.2.1:8787"), Level::Problem);
        assert_eq!(http(&http::Settings::default()), None);
    }

    #[test]
    fn a_broker_that_is_away_is_a_problem() {
        let mut config = Config::default();
        assert_eq!(mqtt(&config), None);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        config.mqtt.port = Some(free.local_addr().unwrap().port());
        config.mqtt.host = "127.0.0.1".to_owned();
        drop(free);
        assert_eq!(mqtt(&config).unwrap().level, Level::Problem);
    }

    #[test]
    fn a_broker_that_refuses_subscriptions_is_a_problem() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        config.mqtt.host = "127.0.0.1".to_owned();
        config.mqtt.port = Some(listener.local_addr().unwrap().port());
        config.service.id = Some("lobby".to_owned());
        let broker = thread::spawn(move || {
            for codes in [[1u8, 1, 1, 1], [1, 0x80, 1, 1]] {
                let (mut client, _) = listener.accept().unwrap();
                let mut hears = |kind: u8| {
                    let mut packet = [0; 512];
                    assert!(client.read(&mut packet).unwrap() > 0);
                    assert_eq!(packet[0], kind);
                    client.try_clone().unwrap()
                };
                // It connects, subscribes and says goodbye.
                hears(0x10).write_all(&[0x20, 2, 0, 0]).unwrap();
                let mut answer = vec![0x90, 6, 0, 1];
                answer.extend(codes);
                hears(0x82).write_all(&answer).unwrap();
                hears(0xe0);
            }
        });
        assert_eq!(mqtt(&config).unwrap().level, Level::Good);
        let finding = mqtt(&config).unwrap();
        assert_eq!(finding.level, Level::Problem, "{finding}");
        let refused = " fer/lobby/threshold/set";
        assert!(finding.seen.ends_with(refused), "{finding}");
        broker.join().unwrap();
    }

    #[test]
    fn a_light_is_looked_for() {
        let settings = led::Settings {
            sysfs: Some("/nowhere".into()),
            ..led::Settings::default()
        };
        let look = |settings: &led::Settings| led(settings, Path::new(LEDS_OF_THE_SERVICE));
        assert_eq!(look(&settings).unwrap().level, Level::Problem);
        assert_eq!(look(&led::Settings::default()), None);
    }

    #[test]
    fn a_light_is_well_only_if_the_service_can_have_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        // as the kernel makes them: what is in /sys/class is a link
        let real = folder.path().canonicalize().unwrap().join("green");
        fs::create_dir(&real).unwrap();
        let link = folder.path().join("ACT");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let settings = led::Settings {
            sysfs: Some(link),
            ..led::Settings::default()
        };
        let look = |of_the_service: &Path| led(&settings, of_the_service).unwrap();
        for name in ["brightness", "max_brightness", "trigger"] {
            assert_eq!(look(&real).level, Level::Problem, "without {name}");
            fs::write(real.join(name), "1").unwrap();
        }
        assert_eq!(look(&real).level, Level::Good);
        let elsewhere = look(Path::new(LEDS_OF_THE_SERVICE));
        assert_eq!(elsewhere.level, Level::Note, "{elsewhere}");
        let line = format!("ReadWritePaths=-{}", real.display());
        assert!(elsewhere.advice.contains(&line), "{elsewhere}");
    }

    #[test]
    fn the_packaged_unit_opens_what_lights_need() {
        let unit = include_str!("../../../../tools/packaging/fer-edge.service");
        let leds = format!("ReadWritePaths=-{LEDS_OF_THE_SERVICE}");
        // the pins of a Raspberry Pi, the second from the Pi 5 on
        for line in [
            leds.as_str(),
            "DeviceAllow=/dev/gpiomem rw",
            "DeviceAllow=/dev/gpiomem0 rw",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}");
        }
    }
}
