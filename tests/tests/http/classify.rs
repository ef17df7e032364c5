//! `POST /v1/classify`.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use fer_edge::capture::demo::{Demo, HEIGHT, WIDTH};
use fer_edge::capture::{Frame, Source};
use fer_edge::control::Control;
use fer_edge::http::classify;
use fer_edge::infer::TractClassifier;
use fer_edge::processor::{Processor, Settings};
use fer_edge::vision::seeta::{self, SeetaDetector};
use fer_models::ModelPackage;
use image::{GrayImage, ImageFormat};
use serde_json::Value;

use crate::client::{Answer, connect, post};
use crate::running::{Running, settings, start_with};

/// Detector and embedded model, as `fer-edge run` has them.
pub(crate) fn processor() -> Result<Processor, String> {
    let package = ModelPackage::embedded();
    let classifier = TractClassifier::load(&package).map_err(|e| e.to_string())?;
    let detector = SeetaDetector::new(seeta::SEARCH).map_err(|e| e.to_string())?;
    Ok(Processor::new(
        &package.manifest,
        Box::new(detector),
        Box::new(classifier),
        Settings::default(),
    ))
}

fn classifying() -> Running {
    let classify = classify::with(processor, Arc::default());
    start_with(&settings(), classify).unwrap()
}

/// The demo's first picture: an averaged, happy face.
fn picture(format: ImageFormat) -> Vec<u8> {
    let mut frame = Frame::default();
    Demo::new().unwrap().next(&mut frame).unwrap();
    let gray = GrayImage::from_raw(WIDTH as u32, HEIGHT as u32, frame.pixels).unwrap();
    let mut bytes = Cursor::new(Vec::new());
    gray.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn a_picture_gives_one_observation() {
    let running = classifying();
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let answer = post(running.address, "/v1/classify", &picture(format));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(
            answer
                .head
                .contains("\r\nContent-Type: application/json\r\n")
        );
        let observation: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(observation["v"], 1);
        assert_eq!(observation["source"], "http");
        let faces = observation["faces"].as_array().unwrap();
        assert_eq!(faces.len(), 1, "{observation}");
        assert_eq!(faces[0]["label"], "happy", "{observation}");
    }
}

#[test]
fn what_is_no_picture_is_refused_with_a_reason() {
    let running = classifying();
    for body in [&b""[..], b"not a picture", &picture(ImageFormat::Png)[..60]] {
        let answer = post(running.address, "/v1/classify", body);
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().trim().len() > 10, "{}", answer.text());
    }
}

#[test]
fn a_model_that_cannot_be_had_is_the_servers_fault_and_its_path_stays_here() {
    let broken = || Err::<Processor, _>("/srv/models/face.onnx: no such file");
    let classify = classify::with(broken, Arc::default());
    let running = start_with(&settings(), classify).unwrap();
    let answer = post(running.address, "/v1/classify", &picture(ImageFormat::Png));
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(!answer.text().contains("/srv"), "{}", answer.text());
}

#[test]
fn faces_below_the_threshold_of_the_moment_are_left_out() {
    let control = Arc::new(Control::default());
    let classify = classify::with(processor, Arc::clone(&control));
    let running = start_with(&settings(), classify).unwrap();
    let picture = picture(ImageFormat::Png);
    // nobody is that sure
    for (threshold, faces) in [(0.0, 1), (1.0, 0), (0.1, 1)] {
        assert!(control.set_threshold(threshold));
        let answer = post(running.address, "/v1/classify", &picture);
        let observation: Value = serde_json::from_slice(&answer.body).unwrap();
        let found = observation["faces"].as_array().unwrap().len();
        assert_eq!(found, faces, "{threshold}: {observation}");
    }
}

/// curl asks before it sends more than a megabyte.
#[test]
fn a_client_that_waits_is_told_to_go_on() {
    let running = classifying();
    let (address, body) = (running.address, picture(ImageFormat::Png));
    let mut stream = connect(address);
    write!(
        stream,
        "POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(Answer::parse(&rest).status, 200);
}

#[test]
fn a_second_picture_at_the_same_time_is_put_off() {
    let running = classifying();
    let (address, body) = (running.address, picture(ImageFormat::Png));
    let mut first = connect(address);
    let length = body.len();
    write!(
        first,
        "POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    // With this word it has the place.
    first.read_exact(&mut [0; 25]).unwrap();
    let second = post(address, "/v1/classify", &body);
    assert_eq!(second.status, 503, "{}", second.text());
    assert!(second.head.contains("\r\nRetry-After: 1"));
    drop(first);
}
