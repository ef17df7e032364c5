//! What Linux says about this process's load and the machine's temperature.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::thermal;

/// Measures load and temperature; a test brings its own.
pub trait Gauges {
    /// Processor time that this process has used, over all threads.
    fn cpu_time(&mut self) -> Option<Duration>;

    /// Temperature of the processor.
    fn celsius(&mut self) -> Option<f32>;
}

/// Clock ticks a second in `/proc`: `USER_HZ`, which is 100 on every architecture of ours.
const TICKS: u64 = 100;

/// The gauges of the running system.
#[derive(Debug, Clone)]
pub struct SystemGauges {
    stat: PathBuf,
    thermal: PathBuf,
}

impl Default for SystemGauges {
    fn default() -> Self {
        Self {
            stat: "/proc/self/stat".into(),
            thermal: thermal::ZONES.into(),
        }
    }
}

impl Gauges for SystemGauges {
    fn cpu_time(&mut self) -> Option<Duration> {
        let stat = fs::read_to_string(&self.stat).ok()?;
        // The second field is the program's name in brackets and may hold blanks and brackets;
        // after it come fields 3 (state) and on. 14 and 15 are the times (proc(5)).
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_millis((user + system) * 1000 / TICKS))
    }

    fn celsius(&mut self) -> Option<f32> {
        thermal::read(&self.thermal).map(|celsius| celsius as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time() {
        let mut gauges = SystemGauges::default();
        let before = gauges.cpu_time().unwrap();
        let mut sum = 0u64;
        while gauges.cpu_time().unwrap() < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }

    #[test]
    fn odd_program_names_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let stat = folder.path().join("stat");
        fs::write(&stat, "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0\n").unwrap();
        let mut gauges = SystemGauges {
            stat,
            thermal: "/nowhere".into(),
        };
        assert_eq!(gauges.cpu_time(), Some(Duration::from_secs(2)));
        assert_eq!(gauges.celsius(), None);
    }
}
