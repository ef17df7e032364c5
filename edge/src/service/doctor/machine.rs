//! Clock, temperature and throttling of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::finding::Finding;
use crate::budget::Gauges;

/// From here on a processor of a small board slows itself down (Raspberry Pi: 80 °C, then 85 °C).
const HOT: f32 = 80.0;

/// 2026-01-01, before which no clock can be right.
const NOT_BEFORE: Duration = Duration::from_secs(1_767_225_600);

/// Where to look; a test brings its own folders.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Exists when systemd-timesyncd has set the clock.
    pub(super) synchronised: PathBuf,
    /// What the firmware of a Raspberry Pi says about voltage and throttling.
    pub(super) throttled: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            synchronised: "/run/systemd/timesync/synchronized".into(),
            throttled: "/sys/devices/platform/soc/soc:firmware/get_throttled".into(),
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

/// Nothing where the firmware says nothing, as on everything but a Raspberry Pi.
pub(super) fn throttling(places: &Places) -> Option<Finding> {
    let bits = read_hex(&places.throttled)?;
    const SUBJECT: &str = "power";
    let (now, ever) = (bits & 0xf, bits >> 16 & 0xf);
    Some(if now & 1 != 0 {
        Finding::problem(
            SUBJECT,
            "the supply voltage is too low right now",
            "use the official power supply and a short cable",
        )
    } else if now != 0 {
        Finding::problem(
            SUBJECT,
            "the processor is being slowed down right now",
            "add cooling, or set service.max_celsius",
        )
    } else if ever & 1 != 0 {
        Finding::note(
            SUBJECT,
            "the supply voltage was too low since the start",
            "use the official power supply and a short cable",
        )
    } else if ever != 0 {
        Finding::note(
            SUBJECT,
            "the processor was slowed down since the start",
            "add cooling, or set service.max_celsius",
        )
    } else {
        Finding::good(SUBJECT, "never throttled since the start")
    })
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

    #[test]
    fn the_firmwares_bits_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            throttled: folder.path().join("get_throttled"),
            ..Places::default()
        };
        assert_eq!(throttling(&places), None);
        for (bits, level, word) in [
            ("0\n", Level::Good, "never"),
            ("50005\n", Level::Problem, "voltage"),
            ("0x40004", Level::Problem, "slowed down right now"),
            ("10000", Level::Note, "voltage was"),
            ("80000", Level::Note, "was slowed"),
        ] {
            fs::write(&places.throttled, bits).unwrap();
            let finding = throttling(&places).unwrap();
            assert_eq!(finding.level, level, "{bits}");
            assert!(finding.seen.contains(word), "{bits}: {finding}");
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
