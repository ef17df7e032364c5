//! The paths there are. A target is compared, never decoded, and never becomes a file name.

use super::request::Method;
use super::response::{Refusal, Status};

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Observations as they come.
    Events,
    /// One picture in, one observation out.
    Classify,
    /// Something that needs nothing but the asking.
    Content(Content),
}

/// What is simply sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The kiosk page.
    Page,
    /// Its style.
    Style,
    /// Its script.
    Script,
    /// Its icon.
    Icon,
    /// Whether the process lives.
    Alive,
    /// Whether frames flow.
    Ready,
    /// Numbers for Prometheus.
    Metrics,
}

/// Every path, and whether it takes `POST` instead of `GET` and `HEAD`.
pub const ROUTES: [(&str, bool, Route); 9] = [
    ("/", false, Route::Content(Content::Page)),
    ("/kiosk.css", false, Route::Content(Content::Style)),
    ("/kiosk.js", false, Route::Content(Content::Script)),
    ("/icon.svg", false, Route::Content(Content::Icon)),
    ("/events", false, Route::Events),
    ("/healthz", false, Route::Content(Content::Alive)),
    ("/readyz", false, Route::Content(Content::Ready)),
    ("/metrics", false, Route::Content(Content::Metrics)),
    ("/v1/classify", true, Route::Classify),
];

/// Finds what a request asks for.
///
/// # Errors
/// Refuses every path that is not in [`ROUTES`], and methods that its entry doesn't take.
pub fn find(method: Method, target: &str) -> Result<Route, Refusal> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let &(_, posts, route) = ROUTES
        .iter()
        .find(|(known, ..)| *known == path)
        .ok_or_else(|| Refusal::new(Status::NotFound, "no such path"))?;
    match method {
        Method::Post if posts => Ok(route),
        Method::Get | Method::Head if !posts => Ok(route),
        _ => {
            let (takes, allow) = if posts {
                ("POST", "Allow: POST\r\n")
            } else {
                ("GET", "Allow: GET, HEAD\r\n")
            };
            Err(Refusal::method(format!("{path} takes {takes}"), allow))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_paths_are_found_with_or_without_a_query() {
        assert_eq!(find(Method::Get, "/"), Ok(Route::Content(Content::Page)));
        assert_eq!(
            find(Method::Head, "/metrics?a=/../b"),
            Ok(Route::Content(Content::Metrics))
        );
        assert_eq!(find(Method::Post, "/v1/classify"), Ok(Route::Classify));
    }

    #[test]
    fn traversal_is_only_an_unknown_path() {
        for target in [
            "/../etc/passwd",
            "/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/kiosk.css/../../Cargo.toml",
            "/./",
            "/kiosk.css%00",
            "http://elsewhere/",
            "*",
            "",
        ] {
            let refusal = find(Method::Get, target).unwrap_err();
            assert_eq!(refusal.status, Status::NotFound, "{target}");
        }
    }

    #[test]
    fn methods_are_checked_by_path() {
        for (method, target) in [
            (Method::Post, "/"),
            (Method::Get, "/v1/classify"),
            (Method::Other, "/metrics"),
        ] {
            let refusal = find(method, target).unwrap_err();
            assert_eq!(refusal.status, Status::MethodNotAllowed, "{target}");
        }
    }

    proptest! {
        #[test]
        fn only_the_table_is_served(target in "\\PC*") {
            let path = target.split('?').next().unwrap_or_default();
            let known = ROUTES.iter().any(|(known, ..)| *known == path);
            let found = find(Method::Get, &target).is_ok() || find(Method::Post, &target).is_ok();
            prop_assert_eq!(found, known);
        }
    }
}
