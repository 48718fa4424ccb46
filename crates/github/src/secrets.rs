//! The GitHub App's credentials from SSM.
//!
//! One call reads two encrypted parameters: `/<prefix>/github/app-id` and `/<prefix>/github/private-key`.
//! They are cached for five minutes; a failed read is not cached. When GitHub rejects the key, they
//! are read again at once. So to rotate a key, write the new one and then delete the old one at
//! GitHub.

mod error;

use std::time::{Duration, Instant};

use crate::reach::Reach;
use crate::trust::{GITHUB_CA_BUNDLE, Trust};
use crate::{ApiUrl, App, AppFuture, AppSource, GitHub, Patience};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::Parameter;
use runtime::proxy::{self, Proxy};
use runtime::settings::{Settings, Variable, shared};
use tokio::sync::Mutex;

pub use error::Error;

/// The variables that [`connect`] reads.
pub const VARIABLES: &[Variable] = &[
    shared::PREFIX,
    shared::GITHUB_API_URL,
    GITHUB_CA_BUNDLE,
    shared::CA_BUNDLE,
    proxy::VARIABLES[0],
    proxy::VARIABLES[1],
];

/// How long credentials are cached. A rotation does not depend on it; it bounds how long a sandbox
/// uses an App that was replaced but still works.
const TTL: Duration = Duration::from_mins(5);

/// A GitHub client with the App's credentials from SSM. Makes no calls yet. Requires a tokio
/// runtime.
pub fn connect(settings: &Settings, ssm: Client) -> Result<GitHub, Error> {
    let url: ApiUrl = settings.parsed(&shared::GITHUB_API_URL)?;
    let secrets = AppSecrets::new(ssm, &settings.text(&shared::PREFIX)?);
    let trust = Trust::of(settings)?;
    let reach = Reach::new(Proxy::of(settings)?.as_ref());
    GitHub::reaching(url, secrets, Patience::default(), trust, reach)
        .map_err(|error| Error::Client(error.to_string()))
}

/// Reads the App's credentials on demand and caches them.
pub struct AppSecrets {
    ssm: Client,
    app_id: String,
    private_key: String,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    app: App,
    read_at: Instant,
}

impl AppSecrets {
    /// Credentials below `/<prefix>/github/`. Reads nothing yet.
    pub fn new(ssm: Client, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        Self {
            ssm,
            app_id: format!("/{prefix}/github/app-id"),
            private_key: format!("/{prefix}/github/private-key"),
            kept: Mutex::default(),
        }
    }

    /// The credentials, at most five minutes old.
    async fn current(&self) -> Result<App, Error> {
        // Held during the read: concurrent callers share one read.
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.read_at.elapsed() < TTL) {
            return Ok(kept.app.clone());
        }
        self.read_into(&mut kept).await
    }

    /// The credentials after GitHub rejected `refused`.
    async fn renewed(&self, refused: &App) -> Result<Option<App>, Error> {
        let mut kept = self.kept.lock().await;
        // A concurrent caller may have read them already.
        if let Some(kept) = kept.as_ref().filter(|kept| !kept.app.is_same(refused)) {
            return Ok(Some(kept.app.clone()));
        }
        let app = self.read_into(&mut kept).await?;
        Ok(Some(app).filter(|app| !app.is_same(refused)))
    }

    async fn read_into(&self, kept: &mut Option<Kept>) -> Result<App, Error> {
        *kept = None;
        let app = self.read().await?;
        *kept = Some(Kept {
            app: app.clone(),
            read_at: Instant::now(),
        });
        Ok(app)
    }

    async fn read(&self) -> Result<App, Error> {
        let answer = self
            .ssm
            .get_parameters()
            .names(&self.app_id)
            .names(&self.private_key)
            .with_decryption(true)
            .send()
            .await
            .map_err(|error| {
                let target = format!("{} and {}", self.app_id, self.private_key);
                Error::Read(aws::Error::new("ssm:GetParameters", target, &error))
            })?;
        let id = value(answer.parameters(), &self.app_id)?;
        let key = value(answer.parameters(), &self.private_key)?;
        App::new(id, key).map_err(|error| Error::Key {
            app_id: self.app_id.clone(),
            private_key: self.private_key.clone(),
            error,
        })
    }
}

/// The parameter's value. SSM omits a missing parameter instead of failing.
fn value<'a>(parameters: &'a [Parameter], name: &str) -> Result<&'a str, Error> {
    parameters
        .iter()
        .find(|parameter| parameter.name() == Some(name))
        .and_then(Parameter::value)
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| Error::Missing(name.to_owned()))
}

impl AppSource for AppSecrets {
    fn app(&self) -> AppFuture<'_, App> {
        Box::pin(async { Ok(self.current().await?) })
    }

    fn newer(&self, refused: App) -> AppFuture<'_, Option<App>> {
        Box::pin(async move { Ok(self.renewed(&refused).await?) })
    }
}
