use std::convert::Infallible;

use super::*;

/// Tells what is done to it.
struct Pin(Sender<bool>);

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        let _ = self.0.send(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        let _ = self.0.send(true);
        Ok(())
    }
}

#[test]
fn the_light_is_out_only_while_the_camera_is_surely_closed() {
    let (changes, seen) = mpsc::channel();
    let mut led = StatusLed::new(Pin(changes));
    for camera in Camera::ALL.into_iter().chain([Camera::Opening]) {
        led.show(camera).unwrap();
    }
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_follower_sees_changes_and_darkens_at_the_end() {
    let (changes, seen) = mpsc::channel();
    let health = Arc::new(Health::new(7));
    let next = || seen.recv_timeout(Duration::from_secs(20)).unwrap();
    let follower = StatusLed::new(Pin(changes)).follow(health.clone()).unwrap();
    assert!(next());
    health.set_camera(Camera::Offline);
    assert!(!next());
    health.set_camera(Camera::Opening);
    assert!(next());
    drop(follower);
    assert!(!next());
    assert!(seen.recv().is_err());
}

#[test]
fn a_led_of_the_kernel_is_set_to_its_own_brightness() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for (name, text) in [
        ("max_brightness", "255\n"),
        ("brightness", ""),
        ("trigger", ""),
    ] {
        fs::write(file(name), text).unwrap();
    }
    SysfsLed::reach(folder.path()).unwrap();
    assert_eq!(fs::read_to_string(file("trigger")).unwrap(), "");
    let mut led = SysfsLed::open(folder.path()).unwrap();
    assert_eq!(fs::read_to_string(file("trigger")).unwrap(), "none");
    led.set_high().unwrap();
    led.set_low().unwrap();
    // a plain file keeps what sysfs takes one by one
    assert_eq!(fs::read_to_string(file("brightness")).unwrap(), "255\n0\n");
}

#[test]
fn a_led_that_is_not_there_is_named() {
    let settings = Settings {
        sysfs: Some("/sys/class/leds/none".into()),
        gpio: None,
    };
    let error = start(&settings, &Arc::new(Health::new(7))).unwrap_err();
    assert!(
        error.to_string().contains("/sys/class/leds/none"),
        "{error}"
    );
    assert!(error.is_configuration());
    // of the moment: udev comes later, and so do threads
    let denied = LedError::Open {
        name: "ACT".into(),
        error: io::ErrorKind::PermissionDenied.into(),
    };
    assert!(!denied.is_configuration());
    assert!(!LedError::Thread(io::ErrorKind::WouldBlock.into()).is_configuration());
    assert!(
        start(&Settings::default(), &Arc::new(Health::new(7)))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_pin_that_no_board_has_is_refused_with_the_configuration() {
    let settings: Settings = toml::from_str("gpio = 200").unwrap();
    let error = LedError::Setting(settings.validate().unwrap_err());
    assert!(error.is_configuration());
    assert_eq!(error.to_string(), "led.gpio: expected 0 to 57, found `200`");
}

#[test]
fn two_lights_are_refused() {
    let settings: Settings = toml::from_str("sysfs = \"/sys/class/leds/ACT\"\ngpio = 17").unwrap();
    assert_eq!(settings.validate().unwrap_err().found, "both");
    #[cfg(not(feature = "rpi"))]
    {
        let settings: Settings = toml::from_str("gpio = 17").unwrap();
        let error = settings.validate().unwrap_err();
        assert!(error.expected.contains("the feature rpi"), "{error}");
    }
}
