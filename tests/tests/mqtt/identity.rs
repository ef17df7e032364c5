//! Who may connect, and whom we trust.

use std::path::Path;
use std::process::Command;

use fer_edge::publish::mqtt::{Settings, probe};
use fer_edge::secret::Secret;
use fer_tests::program::Ran;

use super::broker::{Broker, find};
use super::device::{Kiosk, eventually, settings};

fn with_password(port: u16, password: &str) -> Settings {
    Settings {
        username: Some("kiosk".to_owned()),
        password: Some(Secret::new(password)),
        ..settings(port)
    }
}

#[test]
fn a_wrong_password_is_reported_as_such() {
    let configuration = "allow_anonymous false\npassword_file FOLDER/passwords";
    let prepare = |folder: &Path| {
        let program = find("mosquitto_passwd").expect("it comes with mosquitto");
        let mut command = Command::new(program);
        command.args(["-b", "-c"]).arg(folder.join("passwords"));
        Ran::of(command.args(["kiosk", "hunter2"])).success();
    };
    let Some(broker) = Broker::start(configuration, prepare) else {
        return;
    };
    assert_eq!(
        probe(&with_password(broker.port(), "hunter2"), "kiosk"),
        Ok(Vec::new())
    );
    for wrong in [
        with_password(broker.port(), "hunter3"),
        settings(broker.port()),
    ] {
        let reason = probe(&wrong, "kiosk").unwrap_err();
        assert_eq!(reason, "the broker refuses the user name or password");
        let kiosk = Kiosk::start(&wrong);
        eventually("the trouble shows", || {
            kiosk.health.mqtt_trouble().as_ref() == Some(&reason)
        });
        assert!(!kiosk.health.mqtt_connected());
    }
    let kiosk = Kiosk::start(&with_password(broker.port(), "hunter2"));
    eventually("connected", || kiosk.health.mqtt_connected());
    assert_eq!(kiosk.health.mqtt_trouble(), None);
}

/// An authority `NAME.pem` and a certificate `USER.pem` that it has signed, keys in `*.key`.
fn certify(folder: &Path, name: &str, user: &str) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(arguments.split(' '));
        Ran::of(&mut command).success();
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch";
    openssl(&format!(
        "req -x509 {key} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
    ));
    openssl(&format!(
        "req {key} -subj /CN={user} -addext subjectAltName=IP:127.0.0.1 -keyout {user}.key -out {user}.csr"
    ));
    openssl(&format!(
        "x509 -req -in {user}.csr -CA {name}.pem -CAkey {name}.key -CAcreateserial -days 2 \
         -copy_extensions copy -out {user}.pem"
    ));
}

#[test]
fn both_sides_of_an_encrypted_connection_are_checked() {
    if find("openssl").is_none() {
        fer_tests::skip::skip("no openssl (apt-get install openssl): TLS was not tried");
        return;
    }
    let configuration = "allow_anonymous true\ncafile FOLDER/ours.pem\ncertfile FOLDER/broker.pem\n\
                         keyfile FOLDER/broker.key\nrequire_certificate true";
    let prepare = |folder: &Path| {
        certify(folder, "ours", "broker");
        certify(folder, "theirs", "client");
        std::fs::copy(folder.join("theirs.pem"), folder.join("foreign.pem")).unwrap();
        // The broker trusts both authorities, so that each side can be refused for itself.
        let both =
            ["ours.pem", "theirs.pem"].map(|f| std::fs::read_to_string(folder.join(f)).unwrap());
        std::fs::write(folder.join("ours.pem"), both.concat()).unwrap();
    };
    let Some(broker) = Broker::start(configuration, prepare) else {
        return;
    };
    let file = |name: &str| Some(broker.folder().join(name));
    let encrypted = Settings {
        tls: true,
        tls_ca: file("ours.pem"),
        tls_client_cert: file("client.pem"),
        tls_client_key: file("client.key"),
        ..settings(broker.port())
    };
    assert_eq!(probe(&encrypted, "kiosk"), Ok(Vec::new()));
    let kiosk = Kiosk::start(&encrypted);
    eventually("connected", || kiosk.health.mqtt_connected());

    let foreign = Settings {
        tls_ca: file("foreign.pem"),
        ..encrypted.clone()
    };
    let reason = probe(&foreign, "kiosk").unwrap_err();
    assert!(
        reason.starts_with("TLS: ") && reason.contains("UnknownIssuer"),
        "{reason}"
    );
    let renamed = Settings {
        host: "localhost".to_owned(),
        ..encrypted.clone()
    };
    let reason = probe(&renamed, "kiosk").unwrap_err();
    assert!(reason.contains("does not name `localhost`"), "{reason}");
    let nobody = Settings {
        tls_client_cert: None,
        tls_client_key: None,
        ..encrypted
    };
    probe(&nobody, "kiosk").unwrap_err();
}
