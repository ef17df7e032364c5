//! The page that `fer-tools report run` writes, in a real browser.

use std::fs;

use fer_tests::program::tools;
use fer_tests::skip;

use super::browser::Browser;

#[test]
fn a_runs_page_needs_nothing_but_itself_by_day_and_by_night() {
    let model = skip::root().join("models/zoo/vgg19-lite");
    let folder = tempfile::tempdir().unwrap();
    // the shipped model's own run, as training leaves it
    let run = folder.path().join("a run <1>");
    fs::create_dir(&run).unwrap();
    fs::copy(model.join("train.jsonl"), run.join("metrics.jsonl")).unwrap();
    let best = run.join("best.safetensors");
    fs::copy(model.join("checkpoint.safetensors"), best).unwrap();
    let page = folder.path().join("page.html");
    let (run, out) = (run.display().to_string(), page.display().to_string());
    tools([
        "report",
        "run",
        &run,
        "--data",
        "synth:7:700",
        "--out",
        &out,
    ])
    .success();
    let html = fs::read_to_string(&page).unwrap();
    assert!(!html.contains("<script") && html.contains("a run &lt;1&gt;"));

    let Some(mut browser) = Browser::start() else {
        return;
    };
    let address = format!("file://{out}");
    browser.visit(&address);
    browser.wait_for("document.querySelectorAll('figure svg').length === 4");
    assert_eq!(
        browser.evaluate("document.querySelector('h1').innerText"),
        run.as_str()
    );
    // the epochs of the log, below a line of names
    let epochs = fs::read_to_string(model.join("train.jsonl")).unwrap();
    let rows = browser.evaluate("document.querySelectorAll('table')[1].rows.length");
    assert_eq!(rows, epochs.lines().count() + 1);
    let wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.evaluate(wide), false, "it fits the screen");
    for (scheme, background) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(26, 26, 26)")] {
        browser.prefer(scheme);
        let found = browser.evaluate("getComputedStyle(document.body).backgroundColor");
        assert_eq!(found, background);
        if let Some(pictures) = std::env::var_os("FER_PICTURES") {
            let file = std::path::Path::new(&pictures).join(format!("run-{scheme}.png"));
            fs::write(file, browser.screenshot()).unwrap();
        }
    }
    assert_eq!(browser.asked, [address], "nothing else is loaded");
    assert_eq!(browser.complaints, [""; 0]);
}
