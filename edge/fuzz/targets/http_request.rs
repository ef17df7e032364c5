//! Any bytes, read as a request with a picture, must end without a panic and within the limits.

use fer_edge::capture::Frame;
use fer_edge::http::access::Access;
use fer_edge::http::request::{body_length, read_body, read_head};
use fer_edge::http::{classify, route};
use fer_edge::secret::Secret;

const HEADER_BYTES: usize = 1024;
const BODY_BYTES: usize = 4096;

pub(crate) fn run(bytes: &[u8]) {
    let mut stream = bytes;
    let Ok((head, started)) = read_head(&mut stream, HEADER_BYTES) else {
        return;
    };
    let access = Access::new(
        Some(Secret::new("0123456789abcdef")),
        &["kiosk.local".to_owned()],
    );
    let _ = access.check(&head);
    let _ = route::find(head.method, &head.target);
    let Ok(length) = body_length(head.body, BODY_BYTES) else {
        return;
    };
    if let Ok(body) = read_body(&mut stream, started, length) {
        assert_eq!(body.len(), length);
        let _ = classify::read(&body, &mut Frame::default());
    }
}
