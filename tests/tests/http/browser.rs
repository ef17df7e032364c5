//! Headless Chromium, driven over its debugging pipe
//! (<https://chromedevtools.github.io/devtools-protocol/>): messages are JSON, each ended by a zero byte.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use fer_tests::skip::skip;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

/// Nothing the tests wait for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one tab.
pub(crate) struct Browser {
    child: Child,
    requests: File,
    messages: Receiver<Value>,
    next: u64,
    session: Option<String>,
    /// Addresses that the tab has asked for.
    pub(crate) asked: Vec<String>,
    /// What the browser complained about: violations of the page's policy, errors of its script.
    pub(crate) complaints: Vec<String>,
    _folder: tempfile::TempDir,
}

/// Chromium from the search path.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

impl Browser {
    /// Starts Chromium; `None`, and a note, where there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = installed() else {
            skip("no chromium (Debian: apt-get install chromium): the kiosk page was not tested");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        for pipe in [&to, &from] {
            mkfifo(pipe, Mode::S_IRWXU).unwrap();
        }
        // The pipe's ends have to be descriptors 3 and 4, which the shell can arrange.
        let child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<"$FER_TO" 4>"$FER_FROM""#])
            .arg(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .args(["--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .env("FER_TO", &to)
            .env("FER_FROM", &from)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        // Opening each end waits for the other, in the shell's order.
        let requests = File::options().write(true).open(&to).unwrap();
        let replies = BufReader::new(File::open(&from).unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in replies.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            requests,
            messages,
            next: 0,
            session: None,
            asked: Vec::new(),
            complaints: Vec::new(),
            _folder: folder,
        };
        browser.open_tab();
        Some(browser)
    }

    fn open_tab(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.resize(1280, 720);
    }

    /// Calls a method of the protocol and waits for its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut request = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        self.requests
            .write_all(format!("{request}\0").as_bytes())
            .unwrap();
        loop {
            let message = self.messages.recv_timeout(PATIENCE);
            let mut message = message.unwrap_or_else(|e| panic!("{method}: {e}"));
            if message["id"] == self.next {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap();
                self.asked.push(url.to_owned());
            }
            Some("Log.entryAdded") => self.complaints.push(params["entry"].to_string()),
            Some("Runtime.exceptionThrown") => self.complaints.push(params.to_string()),
            _ => {}
        }
    }

    /// Goes to an address.
    pub(crate) fn visit(&mut self, url: &str) {
        let result = self.call("Page.navigate", json!({"url": url}));
        assert!(result["errorText"].is_null(), "{url}: {result}");
    }

    /// The value of a script's expression, awaited where it is a promise.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let mut result = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true}),
        );
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    /// Waits until a script's condition holds.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, condition: &str) {
        let held = self.evaluate(&format!(
            "new Promise((resolve) => {{
               const end = performance.now() + 20000;
               const look = () => {{
                 let held = false;
                 try {{ held = {condition}; }} catch {{}}
                 if (held || performance.now() > end) resolve(held ? '' : document.body.innerText);
                 else setTimeout(look, 20);
               }};
               look();
             }})"
        ));
        assert_eq!(held, "", "{condition}");
    }

    /// What the tab shows, as PNG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let result = self.call("Page.captureScreenshot", json!({"format": "png"}));
        // The browser itself decodes its base64.
        let expression = format!(
            "Array.from(atob('{}'), (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('')",
            result["data"].as_str().unwrap()
        );
        let hex = self.evaluate(&expression);
        let hex = hex.as_str().unwrap().as_bytes();
        hex.chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Sets the size of the screen.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Sets what the system is said to prefer.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has children of its own, all in its process group.
        let group = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
