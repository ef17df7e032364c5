//! One try to connect, for `fer-edge doctor`.

use std::sync::mpsc;
use std::time::Duration;

use super::link::{self, Event};
use super::settings::Settings;

/// How long a broker may take to answer; the connection itself gives up after five seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects once with the device's settings and hangs up again.
///
/// The running publisher isn't disturbed: the probe has a client id of its own and no last will.
///
/// # Errors
/// Returns in words why there is no connection.
pub fn probe(settings: &Settings, device_id: &str) -> Result<(), String> {
    settings.validate().map_err(|error| error.to_string())?;
    let client_id = format!("{}-probe", settings.client_id(device_id));
    let options = link::options(settings, &client_id).map_err(|error| error.to_string())?;
    let (sender, events) = mpsc::channel();
    link::open(options, move |event| sender.send(event).is_ok())
        .map_err(|error| error.to_string())?;
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        match event {
            Event::Connected(client) => {
                return client.try_disconnect().map_err(|error| error.to_string());
            }
            Event::Down(reason) => return Err(reason),
            Event::Numbered(_) | Event::Confirmed(_) | Event::Message(_) | Event::TooLarge(_) => {}
        }
    }
    Err("the broker does not answer".to_owned())
}
