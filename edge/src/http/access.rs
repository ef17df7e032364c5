//! Who may ask: the right name, our own page, the token.
//!
//! A browser on this host will ask any server for any page it shows. A page from elsewhere can therefore
//! reach a server on localhost, with its own origin or, by DNS rebinding, under its own name. Both show:
//! the first in `Origin` and `Sec-Fetch-Site`, the second in `Host`. An address as `Host` needs no check,
//! because no name was resolved.

use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};

use super::basic;
use super::request::Head;
use super::response::{Refusal, Status};
use crate::secret::Secret;

/// The rules for one server.
#[derive(Debug)]
pub struct Access {
    token: Option<Secret>,
    hosts: Vec<String>,
}

impl Access {
    /// `hosts` are names that are ours besides `localhost` and addresses.
    #[must_use]
    pub fn new(token: Option<Secret>, hosts: &[String]) -> Self {
        Self {
            token,
            hosts: hosts.to_vec(),
        }
    }

    /// Checks name, origin and token.
    ///
    /// # Errors
    /// Refuses with 403 for a foreign name or origin, with 401 without the token.
    pub fn check(&self, head: &Head) -> Result<(), Refusal> {
        if !self.is_our_host(&head.host) {
            let reason = "the server is not known by this name (http.hosts lists its names)";
            return Err(Refusal::new(Status::Forbidden, reason));
        }
        let own = |origin: &str| self.is_own_origin(origin, &head.host);
        if head.foreign || !head.origin.as_deref().is_none_or(own) {
            let reason = "pages from elsewhere may not ask this server";
            return Err(Refusal::new(Status::Forbidden, reason));
        }
        match &self.token {
            Some(token) if !authorized(token, head.authorization.as_deref()) => {
                let reason = "the token is missing or wrong";
                Err(Refusal::new(Status::Unauthorized, reason))
            }
            _ => Ok(()),
        }
    }

    fn is_our_host(&self, authority: &str) -> bool {
        host_of(authority).is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost") || is_address(host) || self.is_listed(host)
        })
    }

    /// The page that came under `host`, or one under a listed name: behind a reverse proxy `Host` and
    /// `Origin` differ.
    fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| {
            authority.eq_ignore_ascii_case(host)
                || host_of(authority).is_some_and(|name| self.is_listed(name))
        })
    }

    fn is_listed(&self, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// The host of `host[:port]`; `None` when it is neither a name nor an address.
fn host_of(authority: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    if authority.starts_with('[') {
        let (host, rest) = authority.split_at(authority.find(']')? + 1);
        let valid = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return valid.then_some(host);
    }
    match authority.split_once(':') {
        Some((host, port)) => is_port(port).then_some(host),
        None => Some(authority),
    }
}

fn is_address(host: &str) -> bool {
    let v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok(),
    }
}

/// `Bearer TOKEN`, or `Basic` with the token as password and any name.
fn authorized(token: &Secret, header: Option<&str>) -> bool {
    let Some((scheme, rest)) = header.and_then(|header| header.split_once(' ')) else {
        return false;
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return same(rest.trim().as_bytes(), token);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    basic::decode(rest.trim()).is_some_and(|pair| {
        let colon = pair.iter().position(|&b| b == b':');
        colon.is_some_and(|colon| same(&pair[colon + 1..], token))
    })
}

/// Compares in a time that depends on what was given only, so that nobody can guess byte by byte.
fn same(given: &[u8], token: &Secret) -> bool {
    let expected = token.reveal().as_bytes();
    let mut difference = given.len() ^ expected.len();
    for (&byte, &expected) in given.iter().zip(expected.iter().cycle()) {
        difference |= usize::from(byte ^ expected);
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::Method;
    use proptest::prelude::*;

    fn head(host: &str, origin: Option<&str>, authorization: Option<&str>) -> Head {
        Head {
            method: Method::Get,
            target: "/".to_owned(),
            host: host.to_owned(),
            origin: origin.map(str::to_owned),
            authorization: authorization.map(str::to_owned),
            foreign: false,
            body: 0,
            waits: false,
        }
    }

    fn open() -> Access {
        Access::new(None, &["kiosk.local".to_owned()])
    }

    fn status(result: Result<(), Refusal>) -> Option<Status> {
        result.err().map(|refusal| refusal.status)
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8787",
            "[::1]:8787",
            "Kiosk.local:80",
        ] {
            assert_eq!(
                status(open().check(&head(host, None, None))),
                None,
                "{host}"
            );
        }
        for host in [
            "rebound.example:8787",
            "localhost.example",
            "kiosk.local.example",
            "localhost:x",
            "[::1]evil",
            "[kiosk.local]",
            "a@localhost",
            "",
        ] {
            let refused = status(open().check(&head(host, None, None)));
            assert_eq!(refused, Some(Status::Forbidden), "{host}");
        }
    }

    #[test]
    fn a_page_from_elsewhere_is_refused() {
        let asks = |origin| status(open().check(&head("127.0.0.1:8787", Some(origin), None)));
        for own in [
            "http://127.0.0.1:8787",
            "https://kiosk.local",
            "http://KIOSK.local:81",
        ] {
            assert_eq!(asks(own), None, "{own}");
        }
        // Another port of this host is another origin, and an address may be anybody's.
        for foreign in [
            "null",
            "http://127.0.0.1:80",
            "http://6.6.6.6",
            "https://evil.example",
            "",
        ] {
            assert_eq!(asks(foreign), Some(Status::Forbidden), "{foreign}");
        }
        let embedded = Head {
            foreign: true,
            ..head("localhost", None, None)
        };
        assert_eq!(status(open().check(&embedded)), Some(Status::Forbidden));
    }

    #[test]
    fn the_token_is_taken_both_ways_and_nothing_else() {
        let access = Access::new(Some(Secret::new("0123456789abcdef")), &[]);
        let asks = |header| status(access.check(&head("localhost", None, header)));
        // printf 'any:0123456789abcdef' | base64
        for right in [
            "Bearer 0123456789abcdef",
            "basic YW55OjAxMjM0NTY3ODlhYmNkZWY=",
        ] {
            assert_eq!(asks(Some(right)), None, "{right}");
        }
        for wrong in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer 0123456789abcdeF"),
            Some("Bearer 0123456789abcde"),
            Some("Bearer 0123456789abcdef0123456789abcdef"),
            Some("Basic MDEyMzQ1Njc4OWFiY2RlZg=="),
            Some("Basic ****"),
            Some("Digest 0123456789abcdef"),
        ] {
            assert_eq!(asks(wrong), Some(Status::Unauthorized), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn comparing_is_equality(given in "[ab]{0,6}", token in "[ab]{1,6}") {
            prop_assert_eq!(same(given.as_bytes(), &Secret::new(&*token)), given == token);
        }

        #[test]
        fn no_header_causes_a_panic(host in "\\PC*", origin in "\\PC*", authorization in "\\PC*") {
            let access = Access::new(Some(Secret::new("0123456789abcdef")), &[]);
            let _ = access.check(&head(&host, Some(&origin), Some(&authorization)));
            let _ = access.check(&head("localhost", None, Some(&authorization)));
        }
    }
}
