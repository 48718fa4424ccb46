//! The AWS calls that the agent makes, and the listener's announcement, over HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use protocol::Registration;
use serde_json::{Value, json};

use super::{BELL, PARAMETER, TABLE};

/// How SSM and DynamoDB are today.
#[derive(Default)]
pub(crate) struct Mood {
    /// So many calls are refused for their rate.
    pub(crate) throttled: AtomicUsize,
    /// So many times there are no credentials.
    pub(crate) without_credentials: AtomicUsize,
    /// What `GetParameter` fails with.
    pub(crate) failing: Option<&'static str>,
    /// So many times the parameter is not there yet.
    pub(crate) missing: AtomicUsize,
    /// `GetParameter` is not answered.
    pub(crate) silent: bool,
    /// So many looks at the bell are refused for their rate.
    pub(crate) throttled_looks: AtomicUsize,
    /// So many answers to the bell are written, and their responses lost.
    pub(crate) lost_answers: AtomicUsize,
    /// So many answers to the bell are refused.
    pub(crate) refused_answers: AtomicUsize,
    /// The ring is withdrawn once it has been read.
    pub(crate) withdrawn: bool,
    /// The table is gone.
    pub(crate) no_table: bool,
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
    /// What the bell says, if anything.
    bell: Mutex<Option<&'static str>>,
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
            bell: Mutex::default(),
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

    /// Writes the bell.
    pub(crate) fn ring(&self, what: &'static str) {
        *self.shared.bell.lock().unwrap() = Some(what);
    }

    /// What the bell says.
    pub(crate) fn bell(&self) -> Option<&'static str> {
        *self.shared.bell.lock().unwrap()
    }

    /// How often this was asked.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|made| *made == call).count()
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
        if call == "credentials" {
            if taken(&self.mood.without_credentials) {
                return (500, String::new());
            }
            let keys = json!({ "AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": "session", "Expiration": "2099-01-01T00:00:00Z" });
            return (200, keys.to_string());
        }
        if call.ends_with("Item") {
            return self.answer_item(call, body);
        }
        if !call.ends_with("Parameter") {
            return (200, String::new());
        }
        if taken(&self.mood.throttled) {
            return refused("ThrottlingException");
        }
        assert_eq!(body["Name"], PARAMETER);
        if call == "GetParameter" && taken(&self.mood.missing) {
            return refused("ParameterNotFound");
        }
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

impl Shared {
    /// DynamoDB, with one item in one table.
    fn answer_item(&self, call: &str, body: &Value) -> (u16, String) {
        assert_eq!(body["TableName"], TABLE);
        let key = json!({ "pk": { "S": format!("bell#{BELL}") }, "sk": { "S": "bell" } });
        assert_eq!(body["Key"], key);
        if self.mood.no_table {
            return refused("ResourceNotFoundException");
        }
        let mut bell = self.bell.lock().unwrap();
        match call {
            "GetItem" if taken(&self.mood.throttled_looks) => {
                refused("ProvisionedThroughputExceededException")
            }
            "GetItem" => {
                let answer = bell.map_or_else(
                    || json!({}),
                    |what| {
                        let text = |value: &str| json!({ "S": value });
                        json!({ "Item": {
                            "what": text(what), "parameter": text(PARAMETER),
                            "runner": text("fr-hello-42"), "execution": text("hello-42"),
                            "expires": { "N": "1790000000" }, "queued": { "N": "1780000000" },
                        }})
                    },
                );
                if self.mood.withdrawn && *bell == Some("ring") {
                    *bell = Some("leave");
                }
                (200, answer.to_string())
            }
            "UpdateItem" if taken(&self.mood.refused_answers) => refused("ThrottlingException"),
            "UpdateItem" => {
                assert_eq!(body["ConditionExpression"], "#what = :ring");
                let values = &body["ExpressionAttributeValues"];
                assert_eq!(values[":taken"]["S"], "taken");
                assert!(values[":expires"]["N"].is_string());
                if *bell != Some("ring") {
                    return refused("ConditionalCheckFailedException");
                }
                *bell = Some("taken");
                if taken(&self.mood.lost_answers) {
                    return (500, String::new());
                }
                (200, "{}".to_owned())
            }
            _ => refused("AccessDeniedException"),
        }
    }
}

/// Counts one down; false if none is left.
fn taken(count: &AtomicUsize) -> bool {
    let left = |count: usize| count.checked_sub(1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
        .is_ok()
}

fn refused(code: &str) -> (u16, String) {
    let body = json!({ "__type": code, "message": "Rate exceeded" });
    (400, body.to_string())
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
            "x-amz-target" => {
                // The service's name and a dot precede the operation.
                let operation = value.rsplit('.').next()?;
                operation.trim().clone_into(&mut name);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((name, serde_json::from_slice(&body).unwrap_or_default()))
}
