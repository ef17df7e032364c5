use std::fs;
use std::net::TcpListener;
use std::sync::Arc;

use fer_models::Labels;
use tempfile::TempDir;

use super::*;
use crate::config::{self, Places};
use crate::service;

const FILE: &str = "fer-edge.toml";

/// A reloader, and the folder with its configuration.
struct Rig {
    folder: TempDir,
    reloader: Reloader,
}

impl Rig {
    /// Starts with a token, a password, and the configuration that `text` gives for the folder.
    fn new(text: impl Fn(&str) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for secret in ["token", "password"] {
            fs::write(folder.path().join(secret), "0123456789abcdef").unwrap();
        }
        let text = text(folder.path().to_str().unwrap());
        fs::write(folder.path().join(FILE), text).unwrap();
        let places = Places {
            file: Some(folder.path().join(FILE)),
            ..Places::default()
        };
        let mut reread: Reread = Box::new(move || config::load(&places, std::iter::empty()));
        let config = reread().unwrap().config;
        let labels = Arc::new(Labels::fer2013());
        let shared = service::share(&config, labels.len());
        let outlets = Outlets::open(&config, labels, "drawn", &shared).unwrap();
        let reloader = Reloader::new(config, reread, shared, outlets);
        Self { folder, reloader }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// What a reload of this configuration changes.
    fn reload(&mut self, text: &str) -> Vec<&'static str> {
        self.write(FILE, text);
        let loaded = (self.reloader.reread)().unwrap();
        self.reloader.apply(loaded.config).applied
    }
}

#[test]
fn a_token_rotates_even_where_another_outlet_changes_with_it() {
    let server = |folder: &str| {
        format!(
            "[http]\nenabled = true\nlisten = '127.0.0.1:0'\ntoken_file = '{folder}/token'\n\
             [service]\nstdout = false\n"
        )
    };
    let mut rig = Rig::new(server);
    let server = server(rig.folder.path().to_str().unwrap());
    let with_line = format!("{server}[serial]\nport = '/nowhere/line'\n");
    rig.write("token", "fedcba9876543210");
    assert_eq!(rig.reload(&with_line), ["serial", "http"]);
    assert_eq!(rig.reload(&with_line), [""; 0]);
    rig.write("token", "0123456789abcdef");
    assert_eq!(rig.reload(&with_line), ["http"]);
}

#[test]
fn a_token_file_of_a_server_that_is_off_changes_nothing() {
    let off = |folder: &str| format!("[http]\ntoken_file = '{folder}/token'\n");
    let mut rig = Rig::new(off);
    let off = off(rig.folder.path().to_str().unwrap());
    rig.write("token", "fedcba9876543210");
    assert_eq!(rig.reload(&off), [""; 0]);
}

#[test]
fn an_outlet_that_stays_closed_is_opened_by_the_next_reload_that_can() {
    // A port that was free a moment ago: no broker is there, and none is needed.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let broker = |folder: &str, password: &str| {
        format!(
            "[mqtt]\nhost = '127.0.0.1'\nport = {port}\nusername = 'kiosk'\n\
             password_file = '{folder}/{password}'\n"
        )
    };
    let mut rig = Rig::new(|folder| broker(folder, "password"));
    let folder = rig.folder.path().to_str().unwrap().to_owned();
    let is_closed = |rig: &Rig| rig.reloader.outlets.is_closed(Outlet::Mqtt);

    fs::remove_file(rig.folder.path().join("password")).unwrap();
    assert_eq!(rig.reload(&broker(&folder, "elsewhere")), [""; 0]);
    assert!(is_closed(&rig), "neither can be opened");
    assert_eq!(rig.reload(&broker(&folder, "password")), [""; 0]);
    assert!(is_closed(&rig), "the file is still away");
    rig.write("password", "hunter2");
    assert_eq!(rig.reload(&broker(&folder, "password")), ["mqtt"]);
    assert!(!is_closed(&rig));
    assert_eq!(rig.reload(&broker(&folder, "password")), [""; 0]);
}

#[test]
fn a_token_at_fault_leaves_the_old_server_alone() {
    let server = |folder: &str, token: &str| {
        format!("[http]\nenabled = true\nlisten = '127.0.0.1:0'\ntoken_file = '{folder}/{token}'\n")
    };
    let mut rig = Rig::new(|folder| server(folder, "token"));
    let folder = rig.folder.path().to_str().unwrap().to_owned();
    fs::remove_file(rig.folder.path().join("token")).unwrap();
    assert_eq!(rig.reload(&server(&folder, "elsewhere")), [""; 0]);
    assert!(!rig.reloader.outlets.is_closed(Outlet::Http));
}
