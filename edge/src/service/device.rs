//! What this device is called.

use std::fs;

use fer_models::sha256_hex;

use crate::config::Service;

/// A program's identifier must not be the machine's own (machine-id(5)): this makes it another one.
const SALT: &str = "fer-edge";

/// The configured id, or one that stays the same on this machine.
#[must_use]
pub fn id(service: &Service) -> String {
    service.id.clone().unwrap_or_else(|| {
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        derived(machine.trim(), &host())
    })
}

/// The configured name, or the host's.
#[must_use]
pub fn name(service: &Service) -> String {
    service.name.clone().unwrap_or_else(host)
}

/// The name and a short hash of the machine's id: two devices with one image have different ids.
fn derived(machine: &str, host: &str) -> String {
    let hash = sha256_hex(format!("{SALT}{machine}").as_bytes());
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let host: String = host.chars().take(40).map(plain).collect();
    format!("{host}-{}", hash.get(..6).unwrap_or_default())
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let name = if name.is_empty() { "fer-edge" } else { name };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_plain_and_differs_between_machines() {
        let id = derived("c5f8", "kiosk.local");
        assert!(id.starts_with("kiosk-local-") && id.len() == 18, "{id}");
        assert_eq!(id, derived("c5f8", "kiosk.local"));
        assert_ne!(id, derived("c5f9", "kiosk.local"));
        assert!(!id.contains("c5f8"));
    }

    #[test]
    fn what_is_configured_holds() {
        let service = Service {
            id: Some("hall".into()),
            name: Some("Hall".into()),
            ..Service::default()
        };
        assert_eq!(
            (id(&service), name(&service)),
            ("hall".into(), "Hall".into())
        );
        assert!(!name(&Service::default()).is_empty());
    }
}
