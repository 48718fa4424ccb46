//! Drives a headless Chromium over its developer tools' protocol ([reference]), on two pipes.
//!
//! The pipes are the browser's file descriptors 3 and 4, each message ends with a zero byte
//! (`--remote-debugging-pipe`). So there is no port, and no WebSocket.
//!
//! [reference]: https://chromedevtools.github.io/devtools-protocol/

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Limit for the answer to one command, the start of the browser included.
const ANSWER: Duration = Duration::from_mins(1);
/// Poll interval.
const LOOK: Duration = Duration::from_millis(50);

/// A browser with one page. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    last: u64,
    /// What the page wrote to its console as an error, and exceptions that it did not catch.
    complaints: Vec<String>,
    _profile: TempDir,
}

/// What a page is shown on.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// In CSS pixels.
    pub width: u32,
    pub height: u32,
    /// Device pixels in one of them.
    pub scale: f64,
    /// Whether the system prefers dark pages.
    pub dark: bool,
}

impl Browser {
    /// Starts Chromium with an empty profile and an empty page.
    pub fn start() -> anyhow::Result<Self> {
        let program = tooling::chromium().with_context(|| {
            format!(
                "this test needs Chromium, and none of {} is on the path: run `cargo xtask prepare` \
                 as root, or install it (Debian: apt install chromium), or set CHROMIUM to its path",
                tooling::CHROMIUMS.join(", ")
            )
        })?;
        let profile = TempDir::new().context("making the browser's profile")?;
        // A shell moves the two pipes to where the browser expects them.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(&program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                // Its sandbox refuses to run as root, and the pages are our own.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-default-browser-check",
                "--no-first-run",
                "--no-proxy-server",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the browser has no pipes");
        };
        let (send, receive) = mpsc::channel();
        // It ends when the browser closes the pipe.
        thread::spawn(move || {
            for message in BufReader::new(from).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap_or_default();
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from: receive,
            session: String::new(),
            last: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let made = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach)?;
        let session = attached["sessionId"].as_str();
        session
            .context("the browser names no session")?
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Goes to an address. Fails if nothing answers there; the page may still be loading afterwards.
    pub fn open(&mut self, url: &str) -> anyhow::Result<()> {
        let gone = self.call("Page.navigate", json!({ "url": url }))?;
        let error = gone["errorText"].as_str().unwrap_or_default();
        ensure!(error.is_empty(), "the browser cannot open {url}: {error}");
        Ok(())
    }

    /// The value of a JavaScript expression in the page; a promise is awaited.
    pub fn value(&mut self, expression: &str) -> anyhow::Result<Value> {
        let asked = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let mut answer = self.call("Runtime.evaluate", asked)?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{expression}: {thrown}");
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is neither null, false, zero nor an empty text, and returns it.
    pub fn wait(&mut self, expression: &str, limit: Duration) -> anyhow::Result<Value> {
        let until = Instant::now() + limit;
        loop {
            // A page that is being left has no context for a moment.
            let seen = self.value(expression);
            if let Ok(value) = &seen
                && !matches!(value, Value::Null | Value::Bool(false))
                && value.as_f64() != Some(0.0)
                && value.as_str() != Some("")
            {
                return Ok(value.clone());
            }
            if Instant::now() >= until {
                let text = self.value("document.body && document.body.innerText")?;
                bail!(
                    "`{expression}` is {seen:?} after {} s; the page says:\n{}",
                    limit.as_secs(),
                    text.as_str().unwrap_or_default()
                );
            }
            thread::sleep(LOOK);
        }
    }

    /// Clicks on the middle of the first element of a CSS selector, as a user would.
    pub fn click(&mut self, selector: &str) -> anyhow::Result<()> {
        let place = self.value(&format!(
            "(() => {{ const found = document.querySelector({}); if (!found) return null; \
             found.scrollIntoView({{ block: 'center' }}); \
             const box = found.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ))?;
        let [x, y] = [&place[0], &place[1]].map(Value::as_f64);
        let (Some(x), Some(y)) = (x, y) else {
            bail!("the page has no {selector}");
        };
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Shows the page on this screen from now on.
    pub fn show_on(&mut self, screen: Screen) -> anyhow::Result<()> {
        let metrics = json!({
            "width": screen.width, "height": screen.height,
            "deviceScaleFactor": screen.scale, "mobile": screen.width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)?;
        let scheme = if screen.dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", features).map(drop)
    }

    /// Writes what the screen shows to a file: WebP if its name ends so, else PNG.
    pub fn screenshot(&mut self, file: &Path) -> anyhow::Result<()> {
        let format = if file.extension().is_some_and(|end| end == "webp") {
            json!({ "format": "webp", "quality": 90 })
        } else {
            json!({ "format": "png" })
        };
        let shot = self.call("Page.captureScreenshot", format)?;
        let data = shot["data"].as_str().context("the screenshot is empty")?;
        let png = base64::engine::general_purpose::STANDARD.decode(data)?;
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("making {}", directory.display()))?;
        }
        fs::write(file, png).with_context(|| format!("writing {}", file.display()))
    }

    /// Errors in the page's console so far, and exceptions that the page did not catch.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// One command of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> anyhow::Result<Value> {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method });
        command["params"] = parameters;
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.to
            .write_all(format!("{command}\0").as_bytes())
            .and_then(|()| self.to.flush())
            .with_context(|| format!("{method}: the browser has ended"))?;
        let until = Instant::now() + ANSWER;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut message = match self.from.recv_timeout(left) {
                Ok(message) => message,
                Err(RecvTimeoutError::Disconnected) => bail!("{method}: the browser has ended"),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{method}: no answer within {} s", ANSWER.as_secs())
                }
            };
            if message["id"] == self.last {
                let error = &message["error"];
                ensure!(error.is_null(), "{method}: {error}");
                return Ok(message["result"].take());
            }
            self.note(&message);
        }
    }

    /// Keeps what a page complains of.
    fn note(&mut self, event: &Value) {
        let told = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(told["exceptionDetails"].to_string());
            }
            Some("Runtime.consoleAPICalled") if told["type"] == "error" => {
                self.complaints.push(told["args"].to_string());
            }
            Some("Log.entryAdded") if told["entry"]["level"] == "error" => {
                self.complaints.push(told["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers end with it. It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
