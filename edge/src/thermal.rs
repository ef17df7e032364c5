//! The processor's temperature, as the kernel shows it on a Pi, a Jetson or a PC.

use std::fs;
use std::path::Path;

/// Where the kernel lists its sensors.
pub const ZONES: &str = "/sys/class/thermal";

/// Degrees Celsius of the hottest processor zone, or of the hottest zone where none says that it is a
/// processor's; `None` without sensors.
#[must_use]
pub fn read(zones: &Path) -> Option<f64> {
    let mut hottest: Option<(bool, f64)> = None;
    for zone in fs::read_dir(zones).ok()?.flatten() {
        let text = |file| fs::read_to_string(zone.path().join(file)).ok();
        let Some(millis) = text("temp").and_then(|t| t.trim().parse::<f64>().ok()) else {
            continue;
        };
        // A zone that is switched off reads as absolute zero or below.
        if !(-50_000.0..).contains(&millis) {
            continue;
        }
        let kind = text("type").unwrap_or_default().to_ascii_lowercase();
        let processor = ["cpu", "soc", "pkg"].iter().any(|name| kind.contains(name));
        let found = (processor, millis / 1000.0);
        if hottest.is_none_or(|hottest| found > hottest) {
            hottest = Some(found);
        }
    }
    hottest.map(|(_, celsius)| celsius)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_processor_zone_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        let zones = [
            ("acpitz", "90000"),
            ("cpu-thermal", "48250\n"),
            ("CPU-therm", "51000"),
            ("soc0-thermal", "broken"),
            ("soc1-thermal", "-274000"),
        ];
        for (i, (kind, temp)) in zones.into_iter().enumerate() {
            let zone = dir.path().join(format!("thermal_zone{i}"));
            fs::create_dir(&zone).unwrap();
            fs::write(zone.join("type"), kind).unwrap();
            fs::write(zone.join("temp"), temp).unwrap();
        }
        assert_eq!(read(dir.path()), Some(51.0));
        assert_eq!(read(&dir.path().join("absent")), None);
    }
}
