//! The App as GitHub knows it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::RsaKeyPair;

use crate::state::installation::Access;

/// The private key of the stand-in's App, as GitHub hands it out (PKCS#1 in PEM). A throw-away that
/// opens nothing but this stand-in.
pub const APP_PRIVATE_KEY: &str = include_str!("../test-app.private-key.pem");

/// When the App and its installations were made, for answers that must say so.
pub(crate) const CREATED: &str = "2026-01-01T00:00:00Z";

/// The App as GitHub knows it.
#[derive(Clone, Debug)]
pub(crate) struct AppIdentity {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) slug: String,
    /// Public halves of the App's keys, in DER (PKCS#1).
    pub(crate) keys: Vec<Vec<u8>>,
    /// Login of the account that it belongs to.
    pub(crate) owner: String,
    /// Its home page.
    pub(crate) external_url: String,
    /// Whether anybody may install it.
    pub(crate) public: bool,
    /// Permission → level.
    pub(crate) permissions: BTreeMap<String, Access>,
    pub(crate) events: Vec<String>,
    pub(crate) hook: HookConfig,
}

impl AppIdentity {
    /// An App with all that this project's needs.
    pub(crate) fn new(id: u64, client_id: &str, slug: &str) -> Self {
        let permissions = [
            ("actions", Access::Read),
            ("administration", Access::Write),
            ("metadata", Access::Read),
            ("organization_self_hosted_runners", Access::Write),
        ];
        Self {
            id,
            client_id: client_id.to_owned(),
            slug: slug.to_owned(),
            keys: public_half(APP_PRIVATE_KEY).into_iter().collect(),
            owner: "octocat".to_owned(),
            external_url: "https://example.com".to_owned(),
            public: false,
            permissions: permissions
                .map(|(name, level)| (name.to_owned(), level))
                .into(),
            events: vec!["workflow_job".to_owned()],
            hook: HookConfig::default(),
        }
    }
}

/// How the App's webhooks are sent; <https://docs.github.com/rest/apps/webhooks>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookConfig {
    /// As it was set through the API; without it, the stand-in's webhook target is shown.
    pub(crate) url: Option<String>,
    pub(crate) content_type: String,
    pub(crate) insecure_ssl: String,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            url: None,
            content_type: "json".to_owned(),
            insecure_ssl: "0".to_owned(),
        }
    }
}

/// The public half of a private key in PEM (PKCS#1 or PKCS#8).
pub(crate) fn public_half(pem: &str) -> Result<Vec<u8>, String> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = STANDARD
        .decode(body.trim())
        .map_err(|_| "the key is not PEM".to_owned())?;
    let pair = RsaKeyPair::from_pkcs8(&der)
        .or_else(|_| RsaKeyPair::from_der(&der))
        .map_err(|reason| format!("the key is not an RSA private key: {reason}"))?;
    Ok(pair.public().as_ref().to_vec())
}
