//! A sandbox: one process of a function, and the Runtime API it talks with ([interface]).
//!
//! [interface]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

use crate::clock;
use crate::serve::{Answer, Server, Service, json};
use crate::share::Share;

/// Far beyond what any invocation takes, also with a fourteenth of a processor.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the process did.
enum Word {
    /// It asks for an event.
    Next,
    /// It answered one.
    Response(Bytes),
    /// It failed on one, or did not get that far.
    Error(Bytes),
}

struct RuntimeApi {
    words: mpsc::UnboundedSender<Word>,
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
}

impl Service for RuntimeApi {
    fn answer(
        self: Arc<Self>,
        request: Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move {
            let path = request.uri().path();
            if path.ends_with("/invocation/next") {
                let _ = self.words.send(Word::Next);
                let event = self.events.lock().await.recv().await;
                let mut answer = json(200, &event.unwrap_or_default());
                let headers = answer.headers_mut();
                for (name, value) in [
                    (
                        "lambda-runtime-aws-request-id",
                        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    ),
                    // The year 2100.
                    ("lambda-runtime-deadline-ms", "4102444800000"),
                    (
                        "lambda-runtime-invoked-function-arn",
                        "arn:aws:lambda:us-east-1:000000000000:function:bench",
                    ),
                    (
                        "lambda-runtime-trace-id",
                        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                    ),
                ] {
                    headers.insert(name, hyper::header::HeaderValue::from_static(value));
                }
                return answer;
            }
            let word = if path.ends_with("/response") {
                Word::Response(request.into_body())
            } else {
                Word::Error(request.into_body())
            };
            let _ = self.words.send(word);
            let mut accepted = Response::new(Full::default());
            *accepted.status_mut() = hyper::StatusCode::ACCEPTED;
            accepted
        })
    }
}

/// A running sandbox; dropped, its process is killed.
pub(crate) struct Sandbox {
    child: Child,
    spawned: Instant,
    _api: Server,
    words: mpsc::UnboundedReceiver<Word>,
    events: mpsc::UnboundedSender<Value>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A time on the wall and one on the CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Sandbox {
    /// Starts a function. What it logs goes to a file, as Lambda takes it by a pipe.
    pub(crate) async fn start(
        program: &Path,
        environment: &[(String, String)],
        log: &Path,
        share: Option<&Share>,
    ) -> anyhow::Result<Self> {
        Self::run(Command::new(program), environment, log, share).await
    }

    /// The same by a command that runs it.
    pub(crate) async fn run(
        mut command: Command,
        environment: &[(String, String)],
        log: &Path,
        share: Option<&Share>,
    ) -> anyhow::Result<Self> {
        let program = format!("{command:?}");
        let (words, heard) = mpsc::unbounded_channel();
        let (events, pending) = mpsc::unbounded_channel();
        let api = RuntimeApi {
            words,
            events: Mutex::new(pending),
        };
        let api = Server::start(None, Arc::new(api)).await?;
        let output = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command
            .env_clear()
            .envs(environment.iter().cloned())
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.address.to_string().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let spawned = Instant::now();
        let child = match share {
            Some(share) => share.spawn(&mut command),
            None => command.spawn().map_err(Into::into),
        };
        Ok(Self {
            child: child.with_context(|| format!("starting {program}"))?,
            spawned,
            _api: api,
            words: heard,
            events,
        })
    }

    /// Waits until it asks for its first event: the end of Lambda's init phase.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Taken> {
        self.asks().await?;
        // Read at once: what the process does from here on belongs to the first invocation.
        Ok(Taken {
            cpu: self.cpu()?,
            wall: self.spawned.elapsed(),
        })
    }

    /// Hands it an event and takes its answer; true where it failed by its own word. It has asked
    /// for the next event when this returns.
    pub(crate) async fn invoke(&mut self, event: Value) -> anyhow::Result<(Reply, Duration)> {
        let since = Instant::now();
        self.events.send(event)?;
        let reply = match self.hears().await? {
            Word::Response(body) => Reply::Done(serde_json::from_slice(&body)?),
            Word::Error(body) => Reply::Failed(String::from_utf8_lossy(&body).into_owned()),
            Word::Next => bail!("the function asked for another event without an answer"),
        };
        let wall = since.elapsed();
        self.asks().await?;
        Ok((reply, wall))
    }

    /// Asks the process to end, and waits until it has: a tool around it writes down what it counted.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?);
        signal::kill(pid, Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// CPU time until now.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        clock::cpu(self.child.id())
    }

    /// CPU time until it rests.
    pub(crate) async fn cpu_at_rest(&self) -> anyhow::Result<Duration> {
        clock::cpu_at_rest(self.child.id()).await
    }

    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        clock::peak_memory(self.child.id())
    }

    async fn asks(&mut self) -> anyhow::Result<()> {
        match self.hears().await? {
            Word::Next => Ok(()),
            Word::Response(_) => bail!("the function answered twice"),
            Word::Error(body) => bail!(
                "the function did not start: {}",
                String::from_utf8_lossy(&body)
            ),
        }
    }

    async fn hears(&mut self) -> anyhow::Result<Word> {
        let waiting = tokio::time::timeout(PATIENCE, self.words.recv());
        let mut ended = tokio::time::interval(Duration::from_millis(50));
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                word = &mut waiting => {
                    return word.context("the function said nothing in time")?.context("its Runtime API is gone");
                }
                _ = ended.tick() => {
                    if let Some(status) = self.child.try_wait()? {
                        bail!("the function ended ({status}); see its log");
                    }
                }
            }
        }
    }
}

/// What came of an invocation.
#[derive(Debug)]
pub(crate) enum Reply {
    Done(Value),
    Failed(String),
}
