//! The registration is in its parameter and nowhere else.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use github_standin::{APP_PRIVATE_KEY, Fault, FaultKind};
use protocol::Registration;
use tracing_subscriber::filter::LevelFilter;

use crate::stage::{Ssm, Stage};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Everything that this thread logs from now on, however fine.
    fn everything(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What must not be seen: registrations in both forms, tokens by their marks, a line of the key.
pub(crate) fn search(written: &[String], said: &str) {
    for value in written {
        let inner = match value.parse().unwrap() {
            Registration::Jit(config) => config.expose().to_owned(),
            Registration::Token(token) => token.token.expose().to_owned(),
        };
        assert!(inner.len() > 10);
        for secret in [value, &inner] {
            assert!(!said.contains(secret), "a registration is shown");
        }
    }
    let key = APP_PRIVATE_KEY.lines().nth(1).unwrap();
    for secret in ["ghs_", "eyJ", key] {
        let shown = said.lines().find(|line| line.contains(secret));
        assert_eq!(shown, None, "{secret} is shown");
    }
}

#[tokio::test]
async fn no_secret_is_in_the_answer_or_the_log() {
    for variables in [&[][..], &[("REGISTRATION", "token")]] {
        let log = Log::default();
        let guard = log.everything();
        let stage = Stage::with(variables, &Ssm::Works).await;
        let output = stage.run().await.unwrap();
        drop(guard);
        assert!(
            log.text().contains("runner registered"),
            "the log is looked at"
        );
        search(
            &stage.written(),
            &format!("{}\n{output:?}\n{:?}", log.text(), stage.deps),
        );
    }
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let refused = |status| FaultKind::Status {
        status,
        message: None,
        retry_after: None,
    };
    for trouble in [
        refused(500),
        refused(403),
        refused(422),
        FaultKind::Disconnect,
    ] {
        let log = Log::default();
        let guard = log.everything();
        let stage = Stage::new().await;
        let fault = Fault::new(trouble).on("POST", "generate-jitconfig");
        stage.server.fault(fault.times(99).after());
        let error = stage.run().await.unwrap_err();
        drop(guard);
        search(
            &stage.written(),
            &format!("{}\n{error}\n{error:?}", log.text()),
        );
    }
    let stage = Stage::with(&[], &Ssm::Refuses("ValidationException")).await;
    let error = stage.run().await.unwrap_err();
    search(&stage.written(), &format!("{error}\n{error:?}"));
}
