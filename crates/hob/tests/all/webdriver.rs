//! A real browser for tests: Chromium, driven by its own driver over WebDriver (W3C WebDriver 2).
//!
//! **Why.** The protocol is JSON over HTTP, so a test needs no library for it, and the machine's own
//! packages (`chromium`, `chromium-driver`) are enough without internet.
//!
//! **How.** [`Browser::start`] starts the driver on a free port and opens one window. Everything that the
//! page does wrong is in the browser's log: [`Browser::complaints`] tells and clears it.

use super::support::{PATIENCE, eventually};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The name of an element's reference (W3C WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A window of a real browser.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    // Its profile; removed at the end.
    _profile: TempDir,
}

impl Browser {
    /// Opens a window of 1280 by 800.
    pub(crate) fn start(fonts: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("FONTCONFIG_FILE", fonts)
            .env("HOME", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        let mut browser = Self { driver, port: port.unwrap(), session: String::new(), _profile: profile };
        // Nobody reads what else the driver says.
        std::thread::spawn(move || lines.for_each(drop));
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--force-color-profile=srgb",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = browser.ask("POST", "/session", &wanted);
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser.size(1280, 800);
        browser
    }

    /// Makes the page so large, in CSS pixels.
    pub(crate) fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Says that the system has dark colours, or light ones.
    pub(crate) fn colours(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    fn devtools(&self, command: &str, params: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": params }));
    }

    /// Goes to an address and waits until it is loaded.
    pub(crate) fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// What a script in the page returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a script in the page hands to `done`.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// The text of the page's main part, as it is seen.
    pub(crate) fn text(&self) -> String {
        self.run("return document.querySelector('main').innerText").as_str().unwrap().to_owned()
    }

    /// Waits until a script returns something true.
    pub(crate) fn wait(&self, what: &str, script: &str) {
        eventually(what, || {
            let found = self.run(script);
            (!matches!(found, Value::Null | Value::Bool(false)) && found != 0 && found != "").then_some(())
        });
    }

    /// Clicks on what an XPath finds first. A live part of the page may be shown anew after it was found:
    /// then what is there now is meant (W3C WebDriver, 12.1: stale element reference).
    pub(crate) fn click(&self, xpath: &str) {
        eventually(xpath, || {
            let path = format!("/session/{}/element/{}/click", self.session, self.find(xpath));
            match self.try_ask("POST", &path, &json!({})) {
                Err(refused) if refused["error"] == "stale element reference" => None,
                answer => Some(told(&path, answer)),
            }
        });
    }

    /// Writes into what an XPath finds first, instead of what is there.
    pub(crate) fn write(&self, xpath: &str, text: &str) {
        let element = self.find(xpath);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    fn find(&self, xpath: &str) -> String {
        let found = self.post("/element", &json!({ "using": "xpath", "value": xpath }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Presses keys one after the other; `\u{e004}` is Tab, `\u{e007}` is Enter (W3C WebDriver, 17.4.2).
    pub(crate) fn keys(&self, keys: &str) {
        let mut actions = Vec::new();
        for key in keys.chars() {
            actions.push(json!({ "type": "keyDown", "value": key.to_string() }));
            actions.push(json!({ "type": "keyUp", "value": key.to_string() }));
        }
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// The page as a PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let encoded = self.get("/screenshot");
        hob_core::event::base64::decode(encoded.as_str().unwrap()).unwrap()
    }

    /// The page as a WebP of a few kilobytes, for documents.
    pub(crate) fn small_picture(&self) -> Vec<u8> {
        let wanted = json!({ "format": "webp", "quality": 82 });
        let sent = json!({ "cmd": "Page.captureScreenshot", "params": wanted });
        let answer = self.post("/goog/cdp/execute", &sent);
        hob_core::event::base64::decode(answer["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser has to complain about since the last time: errors of scripts, violations of the
    /// page's own policy, files that are missing.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap().iter();
        let bad = entries.filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", &format!("/session/{}{path}", self.session), &Value::Null)
    }

    fn post(&self, path: &str, sent: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), sent)
    }

    /// One command; its value, or a panic with what the driver says.
    fn ask(&self, method: &str, path: &str, sent: &Value) -> Value {
        told(&format!("{method} {path} {sent}"), self.try_ask(method, path, sent))
    }

    /// One command; its value, or what the driver says instead.
    fn try_ask(&self, method: &str, path: &str, sent: &Value) -> Result<Value, Value> {
        let sent = if sent.is_null() { String::new() } else { sent.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            sent.len()
        );
        stream.write_all(format!("{head}{sent}").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).unwrap();
        let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
        let value = answer["value"].take();
        if value.get("error").is_some() { Err(value) } else { Ok(value) }
    }
}

/// The value of a command's answer; a panic where the driver refused it.
fn told(command: &str, answer: Result<Value, Value>) -> Value {
    answer.unwrap_or_else(|refused| panic!("{command}: {}: {}", refused["error"], refused["message"]))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
