//! The registration that a runner is started with.
//!
//! A just-in-time configuration is base64 of a JSON object that names files of the runner's root and
//! holds each in base64 ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs)).
//! `config.sh` writes the same files.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::random;

/// By what a runner shows that it is the registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    /// Names the registration.
    pub(crate) client_id: String,
    /// The secret part: the private exponent of what looks like an RSA key.
    pub(crate) secret: String,
}

impl Credential {
    pub(crate) fn new() -> Self {
        Self {
            client_id: random::uuid(),
            secret: random::base64::<256>(),
        }
    }
}

/// What the files say.
pub(crate) struct Files<'a> {
    pub(crate) base: &'a str,
    pub(crate) runner_id: u64,
    pub(crate) name: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) group: &'a str,
    pub(crate) work_folder: &'a str,
    pub(crate) ephemeral: bool,
    pub(crate) credential: &'a Credential,
}

impl Files<'_> {
    /// File name → content.
    pub(crate) fn contents(&self) -> BTreeMap<&'static str, Value> {
        let runner = json!({
            "AgentId": self.runner_id.to_string(),
            "AgentName": self.name,
            "DisableUpdate": "True",
            "Ephemeral": if self.ephemeral { "True" } else { "False" },
            "PoolId": "1",
            "PoolName": self.group,
            "ServerUrl": format!("{}/_runner", self.base),
            "gitHubUrl": format!("{}/{}", self.base, self.scope),
            "workFolder": self.work_folder,
            "useV2Flow": "True",
            "ServerUrlV2": format!("{}/_runner", self.base),
        });
        let credentials = json!({
            "Scheme": "OAuth",
            "Data": {
                "ClientId": self.credential.client_id,
                "AuthorizationUrl": format!("{}/_runner", self.base),
                "AuthorizationUrlV2": format!("{}/_runner", self.base),
                "RequireFipsCryptography": "True",
            }
        });
        let key = json!({
            "d": self.credential.secret,
            "dp": random::base64::<128>(),
            "dq": random::base64::<128>(),
            "exponent": "AQAB",
            "inverseQ": random::base64::<128>(),
            "modulus": random::base64::<256>(),
            "p": random::base64::<128>(),
            "q": random::base64::<128>(),
        });
        BTreeMap::from([
            (".runner", runner),
            (".credentials", credentials),
            (".credentials_rsaparams", key),
        ])
    }

    /// The just-in-time configuration.
    pub(crate) fn encoded(&self) -> String {
        let files: BTreeMap<_, _> = self
            .contents()
            .into_iter()
            .map(|(name, content)| (name, STANDARD.encode(content.to_string())))
            .collect();
        STANDARD.encode(json!(files).to_string())
    }
}

/// The credential of a just-in-time configuration.
pub(crate) fn credential(encoded: &str) -> Option<Credential> {
    let files: Value = serde_json::from_slice(&STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let file = |name: &str| -> Option<Value> {
        serde_json::from_slice(&STANDARD.decode(files[name].as_str()?).ok()?).ok()
    };
    Some(Credential {
        client_id: file(".credentials")?["Data"]["ClientId"]
            .as_str()?
            .to_owned(),
        secret: file(".credentials_rsaparams")?["d"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_as_large_as_github_s_and_gives_the_credential_back() {
        let known = Credential::new();
        let encoded = Files {
            base: "http://127.0.0.1:40000",
            runner_id: 170_000_000_001,
            name: "fr-hello-41000000001",
            scope: "octo/hello",
            group: "Default",
            work_folder: "_work",
            ephemeral: true,
            credential: &known,
        }
        .encoded();
        // Measured at github.com: 4,088 characters for a runner with four labels.
        assert!((3_900..4_300).contains(&encoded.len()), "{}", encoded.len());
        assert_eq!(credential(&encoded), Some(known));
        assert_eq!(credential("bm90aGluZw=="), None);
    }
}
