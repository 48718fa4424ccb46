//! The three AWS calls that the agent makes, and the listener's announcement, over HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use protocol::Registration;
use serde_json::{Value, json};

use super::PARAMETER;

/// How SSM is today.
#[derive(Default)]
pub(crate) struct Mood {
    /// So many calls are refused for their rate.
    pub(crate) throttled: AtomicUsize,
    /// So many times there are no credentials.
    pub(crate) without_credentials: AtomicUsize,
    /// What `GetParameter` fails with.
    pub(crate) failing: Option<&'static str>,
    /// `GetParameter` is not answered.
    pub(crate) silent: bool,
}

/// A stand-in for SSM and for the credentials endpoint that notes what it is asked.
pub(crate) struct Aws {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    value: String,
    mood: Mood,
    calls: Mutex<Vec<String>>,
    kept: Mutex<Vec<TcpStream>>,
}

impl Aws {
    pub(crate) fn holding(registration: &Registration) -> Self {
        Self::in_mood(registration, Mood::default())
    }

    pub(crate) fn in_mood(registration: &Registration, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            value: registration.encode().unwrap().expose().to_owned(),
            mood,
            calls: Mutex::default(),
            kept: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !theirs.serve(stream) {
                    return;
                }
            }
        });
        Self {
            shared,
            port,
            thread: Some(thread),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().unwrap().clone()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.write_all(b"GET /end HTTP/1.1\r\n\r\n");
        }
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Answers one request on a connection. `false` ends the stand-in.
    fn serve(&self, mut stream: TcpStream) -> bool {
        let Some((call, body)) = request(&stream) else {
            return true;
        };
        if call == "end" {
            return false;
        }
        self.calls.lock().unwrap().push(call.clone());
        if call == "GetParameter" && self.mood.silent {
            self.kept.lock().unwrap().push(stream);
            return true;
        }
        let (status, answer) = self.answer(&call, &body);
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
        true
    }

    fn answer(&self, call: &str, body: &Value) -> (u16, String) {
        let left = |count: usize| count.checked_sub(1);
        if call == "credentials" {
            if self
                .mood
                .without_credentials
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
                .is_ok()
            {
                return (500, String::new());
            }
            let keys = json!({ "AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": "session", "Expiration": "2099-01-01T00:00:00Z" });
            return (200, keys.to_string());
        }
        if !call.ends_with("Parameter") {
            return (200, String::new());
        }
        let left = |count: usize| count.checked_sub(1);
        if self
            .mood
            .throttled
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_ok()
        {
            return (
                400,
                json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }).to_string(),
            );
        }
        assert_eq!(body["Name"], PARAMETER);
        match (call, self.mood.failing) {
            ("GetParameter", Some(code)) => {
                (400, json!({ "__type": code, "message": "no" }).to_string())
            }
            ("GetParameter", None) if body["WithDecryption"] == true => (
                200,
                json!({ "Parameter": { "Name": PARAMETER, "Value": self.value } }).to_string(),
            ),
            _ => (200, "{}".to_owned()),
        }
    }
}

/// The name of what is asked for, and what is said about it.
fn request(stream: &TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut name = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((header, value)) = line.trim().split_once(':') else {
            break;
        };
        match header.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-amz-target" => value
                .trim()
                .trim_start_matches("AmazonSSM.")
                .clone_into(&mut name),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((name, serde_json::from_slice(&body).unwrap_or_default()))
}
