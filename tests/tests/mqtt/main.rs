//! The MQTT publisher against mosquitto as Debian ships it (`apt-get install mosquitto openssl`).

mod broker;
mod client;
mod commands;
mod device;
mod gate;
mod home;
mod identity;
mod outage;
