//! Clock, temperature and throttling of the machine.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::finding::Finding;
use crate::budget::Gauges;

/// From here on a processor of a small board slows itself down (Raspberry Pi: 80 °C, then 85 °C).
const HOT: f32 = 80.0;

/// What findings about voltage and throttling are about.
const POWER: &str = "power";

/// 2026-01-01, before which no clock can be right.
const NOT_BEFORE: Duration = Duration::from_secs(1_767_225_600);

/// Where to look; a test brings its own folders.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Exists when systemd-timesyncd has set the clock.
    pub(super) synchronised: PathBuf,
    /// The kernel's devices, `/sys`.
    pub(super) sys: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            synchronised: "/run/systemd/timesync/synchronized".into(),
            sys: "/sys".into(),
        }
    }
}

/// Results carry no wall time of their own, but brokers, certificates and logs need a right clock.
pub(super) fn clock(now: SystemTime, places: &Places) -> Finding {
    let since_1970 = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    if since_1970 < NOT_BEFORE {
        return Finding::problem(
            "clock",
            "shows a time before 2026",
            "connect to a network for time, or add a battery-backed clock: TLS and time stamps fail",
        );
    }
    if places.synchronised.exists() {
        Finding::good("clock", "set by network time")
    } else {
        Finding::note(
            "clock",
            "no sign of systemd-timesyncd",
            "check with `timedatectl`; without network time, time stamps may be off",
        )
    }
}

pub(super) fn temperature(gauges: &mut impl Gauges, limit: Option<f32>) -> Finding {
    match gauges.celsius() {
        Some(celsius) if celsius >= HOT => Finding::problem(
            "temperature",
            format!("{celsius:.0} °C"),
            "add a heat sink or a fan, or set service.max_celsius or service.max_cpu_percent",
        ),
        Some(celsius) => Finding::good("temperature", format!("{celsius:.0} °C")),
        None if limit.is_some() => Finding::problem(
            "temperature",
            "this machine shows no temperature, so service.max_celsius can't be kept",
            "limit the load by service.max_cpu_percent or service.max_fps",
        ),
        None => Finding::good("temperature", "this machine shows none"),
    }
}

/// Nothing on everything but a Raspberry Pi.
pub(super) fn throttling(places: &Places) -> Option<Finding> {
    let told = firmware_bits(&places.sys).map(throttled);
    told.or_else(|| undervoltage(&places.sys).map(supply))
}

fn too_low() -> Finding {
    Finding::problem(
        POWER,
        "the supply voltage is too low right now",
        "use the official power supply and a short cable",
    )
}

fn throttled(bits: u32) -> Finding {
    let (now, ever) = (bits & 0xf, bits >> 16 & 0xf);
    if now & 1 != 0 {
        too_low()
    } else if now != 0 {
        Finding::problem(
            POWER,
            "the processor is being slowed down right now",
            "add cooling, or set service.max_celsius",
        )
    } else if ever & 1 != 0 {
        Finding::note(
            POWER,
            "the supply voltage was too low since the start",
            "use the official power supply and a short cable",
        )
    } else if ever != 0 {
        Finding::note(
            POWER,
            "the processor was slowed down since the start",
            "add cooling, or set service.max_celsius",
        )
    } else {
        Finding::good(POWER, "never throttled since the start")
    }
}

fn supply(too_low_now: bool) -> Finding {
    if too_low_now {
        return too_low();
    }
    Finding::good(
        POWER,
        "the supply voltage is high enough now; this kernel tells nothing more",
    )
}

/// What the firmware says about voltage and throttling, where the kernel is Raspberry Pi's own. The device is
/// `soc/soc:firmware` up to the Pi 4, and `soc@107c000000/soc@107c000000:firmware` on the Pi 5.
fn firmware_bits(sys: &Path) -> Option<u32> {
    let mut devices = entries(&sys.join("devices/platform"))
        .into_iter()
        .filter(|soc| is_named(soc, "soc", ""))
        .flat_map(|soc| entries(&soc))
        .filter(|device| is_named(device, "soc", ":firmware"));
    devices.find_map(|device| read_hex(&device.join("get_throttled")))
}

/// Whether the voltage is too low, by the kernel's own sensor, which looks every two seconds.
fn undervoltage(sys: &Path) -> Option<bool> {
    let is_it = |sensor: &PathBuf| {
        fs::read_to_string(sensor.join("name")).is_ok_and(|name| name.trim() == "rpi_volt")
    };
    let sensor = entries(&sys.join("class/hwmon")).into_iter().find(is_it)?;
    read_hex(&sensor.join("in0_lcrit_alarm")).map(|alarm| alarm != 0)
}

/// What is in a folder; nothing where it can't be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn is_named(path: &Path, start: &str, end: &str) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.starts_with(start) && name.ends_with(end))
}

fn read_hex(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_clock_without_battery_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            synchronised: folder.path().join("synchronized"),
            ..Places::default()
        };
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
        assert_eq!(clock(start, &places).level, Level::Problem);
        let later = SystemTime::UNIX_EPOCH + NOT_BEFORE;
        assert_eq!(clock(later, &places).level, Level::Note);
        fs::write(&places.synchronised, "").unwrap();
        assert_eq!(clock(later, &places).level, Level::Good);
    }

    /// A kernel's devices, without any.
    fn sys() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            sys: folder.path().to_owned(),
            ..Places::default()
        };
        assert_eq!(throttling(&places), None);
        (folder, places)
    }

    #[test]
    fn the_firmwares_bits_are_told_apart() {
        let (folder, places) = sys();
        let firmware = folder.path().join("devices/platform/soc/soc:firmware");
        fs::create_dir_all(&firmware).unwrap();
        for (bits, level, word) in [
            ("0\n", Level::Good, "never"),
            ("50005\n", Level::Problem, "voltage"),
            ("0x40004", Level::Problem, "slowed down right now"),
            ("10000", Level::Note, "voltage was"),
            ("80000", Level::Note, "was slowed"),
        ] {
            fs::write(firmware.join("get_throttled"), bits).unwrap();
            let finding = throttling(&places).unwrap();
            assert_eq!(finding.level, level, "{bits}");
            assert!(finding.seen.contains(word), "{bits}: {finding}");
        }
    }

    #[test]
    fn the_firmware_of_a_raspberry_pi_5_is_found() {
        let (folder, places) = sys();
        let platform = folder.path().join("devices/platform");
        // others that may not be taken for it
        fs::create_dir_all(platform.join("soc@107c000000/107d001000.serial")).unwrap();
        fs::write(platform.join("uevent"), "").unwrap();
        let firmware = platform.join("soc@107c000000/soc@107c000000:firmware");
        fs::create_dir(&firmware).unwrap();
        fs::write(firmware.join("get_throttled"), "50005\n").unwrap();
        let finding = throttling(&places).unwrap();
        assert_eq!(finding.level, Level::Problem, "{finding}");
    }

    #[test]
    fn without_the_firmwares_word_the_kernels_sensor_is_asked() {
        let (folder, places) = sys();
        let sensors = folder.path().join("class/hwmon");
        for (number, name) in ["cpu_thermal\n", "rpi_volt\n"].into_iter().enumerate() {
            let sensor = sensors.join(format!("hwmon{number}"));
            fs::create_dir_all(&sensor).unwrap();
            fs::write(sensor.join("name"), name).unwrap();
        }
        assert_eq!(throttling(&places), None);
        for (alarm, level) in [("1\n", Level::Problem), ("0\n", Level::Good)] {
            fs::write(sensors.join("hwmon1/in0_lcrit_alarm"), alarm).unwrap();
            assert_eq!(throttling(&places).unwrap().level, level);
        }
    }

    #[test]
    fn heat_and_a_limit_without_a_thermometer_are_problems() {
        struct At(Option<f32>);
        impl Gauges for At {
            fn cpu_time(&mut self) -> Option<Duration> {
                None
            }
            fn celsius(&mut self) -> Option<f32> {
                self.0
            }
        }
        for (celsius, limit, level) in [
            (Some(45.0), None, Level::Good),
            (Some(84.0), None, Level::Problem),
            (None, None, Level::Good),
            (None, Some(70.0), Level::Problem),
        ] {
            assert_eq!(temperature(&mut At(celsius), limit).level, level);
        }
    }
}
