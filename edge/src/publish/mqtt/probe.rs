//! One try to connect, for `fer-edge doctor`.

use std::sync::mpsc;
use std::time::Duration;

use super::MqttError;
use super::link::{self, Event};
use super::settings::Settings;
use super::topics::Topics;

/// How long to wait for the next event; a link gives up five seconds after it has turned to an address.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects once with the device's settings, subscribes to its commands, and hangs up again. Returns the
/// topics that the broker refuses to pass on.
///
/// The running publisher isn't disturbed: the probe has a client id of its own and no last will.
///
/// # Errors
/// Returns in words why there is no connection.
pub fn probe(settings: &Settings, device_id: &str) -> Result<Vec<String>, String> {
    settings
        .validate()
        .map_err(|error| MqttError::Setting(error).to_string())?;
    let client_id = format!("{}-probe", settings.client_id(device_id));
    let options = link::options(settings, &client_id).map_err(|error| error.to_string())?;
    let (sender, events) = mpsc::channel();
    link::open(options, move |event| sender.send(event).is_ok())
        .map_err(|error| error.to_string())?;
    let topics = Topics::new(
        &settings.topic_prefix,
        &settings.discovery_prefix,
        device_id,
    );
    let mut connected = None;
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        match event {
            Event::Connected(client) => {
                link::subscribe(&client, topics.subscriptions(settings.discovery));
                connected = Some(client);
            }
            Event::Subscribed(granted) => {
                if let Some(client) = connected {
                    // Fails only when the link has just gone down, and all is known already.
                    let _ = client.try_disconnect();
                }
                return Ok(topics.refused(settings.discovery, &granted));
            }
            Event::Down(reason) => return Err(reason),
            Event::Numbered(_) | Event::Confirmed(_) | Event::Message(_) | Event::TooLarge(_) => {}
        }
    }
    Err("the broker does not answer".to_owned())
}
