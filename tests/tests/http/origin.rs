//! Who may ask.

use fer_edge::http::Settings;
use fer_edge::secret::Secret;

use crate::client::{get, send};
use crate::running::{nothing, settings, start, start_with};

const TOKEN: &str = "0123456789abcdef";

#[test]
fn a_page_from_elsewhere_gets_nothing() {
    let running = start(&settings());
    let address = running.address;
    let refused = |target: &str, lines: &str| {
        let answer = get(address, target, lines);
        assert_eq!(answer.status, 403, "{target} {lines}: {}", answer.text());
    };
    for target in ["/", "/events", "/metrics", "/healthz"] {
        refused(target, "Origin: https://evil.example\r\n");
        refused(target, "Origin: null\r\n");
        refused(
            target,
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
        );
    }
    let own = format!("Origin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(get(address, "/metrics", &own).status, 200);
}

/// DNS rebinding: a name of the attacker's resolves to this host.
#[test]
fn a_foreign_name_gets_nothing() {
    let running = start(&settings());
    let asks = |host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        send(running.address, request.as_bytes()).status
    };
    assert_eq!(asks("evil.example"), 403);
    assert_eq!(
        asks(&format!("evil.example:{}", running.address.port())),
        403
    );
    assert_eq!(asks("localhost"), 200);
    let none = send(running.address, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(none.status, 400);
}

#[test]
fn other_hosts_are_served_only_with_a_token() {
    let everywhere = Settings {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..settings()
    };
    let error = start_with(&everywhere, nothing())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("http.listen") && error.contains("token"),
        "{error}"
    );

    let running = start(&Settings {
        token: Some(Secret::new(TOKEN)),
        ..everywhere
    });
    let address = format!("127.0.0.1:{}", running.address.port())
        .parse()
        .unwrap();
    for target in ["/", "/events", "/healthz", "/metrics", "/nothing"] {
        let answer = get(address, target, "");
        assert_eq!(answer.status, 401, "{target}");
        assert!(answer.head.contains("\r\nWWW-Authenticate: Basic "));
        let wrong = format!("Authorization: Bearer {TOKEN}0\r\n");
        assert_eq!(get(address, target, &wrong).status, 401, "{target}");
    }
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(get(address, "/metrics", &bearer).status, 200);
    // printf 'kiosk:0123456789abcdef' | base64
    let basic = "Authorization: Basic a2lvc2s6MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
    assert_eq!(get(address, "/", basic).status, 200);
}

#[test]
fn every_answer_forbids_sniffing_and_foreign_content() {
    let running = start(&settings());
    for target in ["/", "/kiosk.js", "/metrics", "/nothing"] {
        let head = get(running.address, target, "").head;
        for line in [
            "X-Content-Type-Options: nosniff",
            "Content-Security-Policy: default-src 'none'; script-src 'self'",
            "Cross-Origin-Resource-Policy: same-origin",
            "Cache-Control: no-store",
        ] {
            assert!(head.contains(line), "{target}: {line}: {head}");
        }
    }
}
