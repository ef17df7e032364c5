//! What somebody who looks at a picture leaves to the service.

use toml::Value;

use super::files::DEFAULT_FILE;
use super::layers::Layers;

/// The keys that open an outlet or light the light. The service has its name at the broker, its ports and its light
/// already: who opens them a second time throws it off, or is refused.
const OPENERS: [&str; 5] = [
    "mqtt.host",
    "serial.port",
    "http.enabled",
    "led.sysfs",
    "led.gpio",
];

/// The key that closes stdout: the service's lines would fill the journal, but here somebody waits for them.
const STDOUT: &str = "service.stdout";

/// Takes out of the layers what opens outlets and what closes stdout.
pub(super) fn leave(layers: &mut Layers) {
    let left: Vec<_> = OPENERS
        .into_iter()
        .filter(|key| layers.forget(key).is_some_and(|value| opens(&value)))
        .collect();
    layers.forget(STDOUT);
    if !left.is_empty() {
        let keys = left.join(", ");
        tracing::info!(
            "left to the service: {keys}; with --config {DEFAULT_FILE} they hold here too"
        );
    }
}

fn opens(value: &Value) -> bool {
    value.as_bool() != Some(false) && value.as_str() != Some("")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::{Config, variables};
    use super::*;

    const INSTALLED: &str = "[mqtt]\nhost = 'broker'\nusername = 'kiosk'\npassword = 'x'\n\
        [serial]\nport = '/dev/serial0'\nbaud = 9600\n[http]\nenabled = true\n\
        [led]\nsysfs = '/sys/class/leds/ACT'\n[vision]\nevery_n_frames = 3\n[service]\nstdout = false";

    fn looked(environment: &[(&str, &str)]) -> Config {
        let mut layers = Layers::default();
        layers.add_file(DEFAULT_FILE.into(), INSTALLED).unwrap();
        leave(&mut layers);
        let variables = environment.iter();
        let variables =
            variables.map(|(name, text)| (OsString::from(*name), OsString::from(*text)));
        variables::add(&mut layers, variables).unwrap();
        Config::of(&layers).unwrap()
    }

    #[test]
    fn a_look_at_a_picture_opens_none_of_the_services_outlets() {
        let config = looked(&[]);
        assert!(!config.mqtt.is_on() && !config.http.enabled);
        assert_eq!((config.serial.port, config.led.sysfs), (None, None));
        assert!(config.service.stdout);
        assert_eq!(config.vision.every_n_frames, 3, "all else holds");
    }

    #[test]
    fn the_environment_still_opens_them() {
        let config = looked(&[
            ("FER_EDGE_MQTT_HOST", "other"),
            ("FER_EDGE_SERVICE_STDOUT", "false"),
        ]);
        assert_eq!(config.mqtt.host, "other");
        assert!(!config.service.stdout && !config.http.enabled);
    }
}
