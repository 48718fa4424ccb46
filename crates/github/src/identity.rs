//! The App as its owner sees it: its settings, its webhook, where it is installed, and how it is made.
//! For the operator's command line; no handler needs it.

use std::collections::BTreeMap;

use http::StatusCode;
use protocol::Secret;
use runtime::proxy::Proxy;
use serde::Deserialize;
use serde_json::json;

use crate::encode::encode;
use crate::transport::Call;
use crate::{ApiUrl, App, AppFuture, AppSource, Error, GitHub, Page, Patience, SourceError};

/// The App itself ([fields]).
///
/// [fields]: https://docs.github.com/rest/apps/apps#get-the-authenticated-app
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AppProfile {
    pub id: u64,
    pub slug: String,
    pub html_url: String,
    /// Permission → `read`, `write` or `admin`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    #[serde(default)]
    pub events: Vec<String>,
    pub owner: Account,
}

/// A user or an organization by its login, an enterprise by its slug.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WireAccount")]
pub struct Account {
    pub id: u64,
    pub name: String,
    /// `User`, `Organization`, or nothing for an enterprise.
    pub kind: Option<String>,
}

#[derive(Deserialize)]
struct WireAccount {
    id: u64,
    login: Option<String>,
    slug: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl From<WireAccount> for Account {
    fn from(wire: WireAccount) -> Self {
        let name = wire.login.or(wire.slug);
        Self {
            id: wire.id,
            name: name.unwrap_or_else(|| "unknown".to_owned()),
            kind: wire.kind,
        }
    }
}

/// How the App's webhooks are sent ([fields]). The secret is not shown.
///
/// [fields]: https://docs.github.com/rest/apps/webhooks#get-a-webhook-configuration-for-an-app
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hook {
    pub url: Option<String>,
    pub content_type: Option<String>,
    /// `0` or `1`, as text or as a number.
    #[serde(default)]
    pub insecure_ssl: serde_json::Value,
}

impl Hook {
    /// Whether GitHub checks the receiver's certificate.
    pub fn verifies_tls(&self) -> bool {
        match &self.insecure_ssl {
            serde_json::Value::String(text) => text == "0",
            serde_json::Value::Number(number) => number.as_u64() == Some(0),
            _ => true,
        }
    }
}

/// One place where the App is installed, with what it was granted there ([fields]).
///
/// [fields]: https://docs.github.com/rest/apps/apps#list-installations-for-the-authenticated-app
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Installed {
    pub id: u64,
    pub account: Option<Account>,
    /// `User`, `Organization` or `Enterprise`.
    #[serde(default)]
    pub target_type: String,
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    #[serde(default)]
    pub events: Vec<String>,
    #[serde(default)]
    pub app_slug: String,
    pub suspended_at: Option<String>,
}

/// An App that was just made, with its secrets ([fields]).
///
/// [fields]: https://docs.github.com/rest/apps/apps#create-a-github-app-from-a-manifest
#[derive(Clone, Debug, Deserialize)]
pub struct NewApp {
    pub id: u64,
    pub slug: String,
    pub html_url: String,
    pub owner: Account,
    /// The private key, in PEM.
    pub pem: Secret,
    pub webhook_secret: Option<Secret>,
}

impl GitHub {
    /// The App that id and key belong to.
    pub async fn profile(&self) -> Result<AppProfile, Error> {
        let call = Call::get("/app");
        self.as_app(&call).await?.json(&call)
    }

    /// Where the App's webhooks go now.
    pub async fn hook(&self) -> Result<Hook, Error> {
        let call = Call::get("/app/hook/config");
        self.as_app(&call).await?.json(&call)
    }

    /// Has GitHub send webhooks to an address, signed with a secret ([endpoint]). Repeating it changes
    /// nothing.
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/webhooks#update-a-webhook-configuration-for-an-app
    pub async fn set_hook(&self, url: &str, secret: &Secret) -> Result<(), Error> {
        let call = Call::patch("/app/hook/config")
            .body(json!({
                "url": url,
                "secret": secret.expose(),
                "content_type": "json",
                "insecure_ssl": "0",
            }))
            .repeatable();
        self.as_app(&call).await?.success(&call)
    }

    /// A page, from 1, of the places where the App is installed, with their permissions.
    pub async fn installed_at(&self, page: u32) -> Result<Page<Installed>, Error> {
        let call = Call::get("/app/installations").page(page);
        let answer = self.as_app(&call).await?;
        Ok(Page::new(answer.json(&call)?))
    }

    /// Whether anybody may install the App: GitHub shows only such an App to somebody who is not signed
    /// in. `None` where this GitHub shows nobody anything before they sign in.
    pub async fn is_public(&self, slug: &str) -> Result<Option<bool>, Error> {
        let call = Call::get(format!("/apps/{}", encode(slug)));
        let answer = self.as_nobody(&call).await?;
        Ok(match answer.status {
            StatusCode::NOT_FOUND => Some(false),
            status if status.is_success() => Some(true),
            _ => None,
        })
    }
}

/// GitHub before there is an App.
#[derive(Clone, Debug)]
pub struct Nobody(GitHub);

impl Nobody {
    /// Makes no calls. Requires a tokio runtime.
    pub fn new(url: ApiUrl, patience: Patience, proxy: Option<&Proxy>) -> Result<Self, Error> {
        Ok(Self(GitHub::through(url, NoApp, patience, proxy)?))
    }

    /// Makes the App of a confirmed manifest. The code works once, for an hour: `None` if GitHub does
    /// not know it (any more).
    pub async fn convert(&self, code: &str) -> Result<Option<NewApp>, Error> {
        let call = Call::post(format!("/app-manifests/{}/conversions", encode(code)));
        let answer = self.0.as_nobody(&call).await?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Ok(None),
            _ => answer.json(&call).map(Some),
        }
    }

    /// A user or an organization; `None` if there is none of that name, or this GitHub shows nobody
    /// anything before they sign in.
    pub async fn account(&self, login: &str) -> Result<Option<Account>, Error> {
        let call = Call::get(format!("/users/{}", encode(login)));
        let answer = self.0.as_nobody(&call).await?;
        if answer.status.is_client_error() {
            return Ok(None);
        }
        answer.json(&call).map(Some)
    }
}

struct NoApp;

impl AppSource for NoApp {
    fn app(&self) -> AppFuture<'_, App> {
        Box::pin(async {
            Err(SourceError {
                fault: protocol::Fault::SecretMissing,
                message: "there is no App yet".to_owned(),
            })
        })
    }

    fn newer(&self, _: App) -> AppFuture<'_, Option<App>> {
        Box::pin(async { Ok(None) })
    }
}
