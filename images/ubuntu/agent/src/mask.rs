//! Masks the registration in the log.
//!
//! The listener masks its own output, but only after it has read its environment, and its
//! diagnostics are files that any process may have written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::Registration;

/// Shorter values are not secrets of a registration; masking them would hide ordinary words.
const SHORTEST: usize = 16;
/// GitHub's replacement for a secret.
const STAND_IN: &str = "***";

/// The texts to mask.
#[derive(Debug, Default)]
pub struct Mask(Vec<String>);

impl Mask {
    /// Masks a registration and the keys in a just-in-time configuration: a JSON object of file
    /// names and base64 contents, which are JSON again
    /// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs)).
    pub fn of(registration: &Registration) -> Self {
        let mut secrets = match registration {
            Registration::Token(token) => vec![token.token.expose().to_owned()],
            Registration::Jit(config) => {
                let mut secrets = vec![config.expose().to_owned()];
                for (file, content) in files(config.expose()) {
                    if file.starts_with(".credentials") {
                        secrets.extend(keys(&content));
                        secrets.push(content);
                    }
                }
                secrets
            }
        };
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // Longest first, so that a text that contains another secret is masked as a whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text with its secrets masked.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), STAND_IN));
            }
        }
        text
    }
}

fn files(config: &str) -> BTreeMap<String, String> {
    decoded(config).unwrap_or_default()
}

/// The values of `.credentials_rsaparams`. `.credentials` nests its values one level deeper and
/// holds an id and a URL, but no key.
fn keys(content: &str) -> Vec<String> {
    decoded::<BTreeMap<String, serde_json::Value>>(content)
        .unwrap_or_default()
        .into_values()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn decoded<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use protocol::{Secret, TokenRegistration};

    use super::*;

    fn jit() -> (String, String) {
        let rsa = STANDARD.encode(r#"{"d":"the-private-exponent-of-it","exponent":"AQAB"}"#);
        let scheme = STANDARD.encode(r#"{"scheme":"OAuth","data":{"clientId":"6f1c"}}"#);
        let runner = STANDARD.encode(r#"{"agentName":"fr-hello-42"}"#);
        let files = format!(
            r#"{{".runner":"{runner}",".credentials":"{scheme}",".credentials_rsaparams":"{rsa}"}}"#
        );
        (STANDARD.encode(files), rsa)
    }

    #[test]
    fn a_configuration_its_files_and_its_keys_are_hidden() {
        let (config, rsa) = jit();
        let mask = Mask::of(&Registration::Jit(Secret::new(&config)));
        let text = format!("a {config} b {rsa} c the-private-exponent-of-it d");
        assert_eq!(mask.apply(&text), "a *** b *** c *** d");
    }

    #[test]
    fn names_and_short_values_stay_readable() {
        let mask = Mask::of(&Registration::Jit(Secret::new(jit().0)));
        assert_eq!(
            mask.apply("fr-hello-42 AQAB OAuth"),
            "fr-hello-42 AQAB OAuth"
        );
    }

    #[test]
    fn a_token_is_hidden() {
        let mask = Mask::of(&Registration::Token(TokenRegistration {
            url: "https://github.com/octo/hello".into(),
            token: Secret::new("AABF3JGZDX3P5PMEXLND6TS6FCWO6"),
            name: "fr-hello-42".into(),
            labels: "linux".into(),
            group: None,
        }));
        assert_eq!(
            mask.apply("token=AABF3JGZDX3P5PMEXLND6TS6FCWO6;"),
            "token=***;"
        );
    }

    #[test]
    fn a_configuration_of_another_form_is_hidden_as_a_whole() {
        let mask = Mask::of(&Registration::Jit(Secret::new(
            "not base64, and long enough",
        )));
        assert_eq!(mask.apply("x not base64, and long enough y"), "x *** y");
    }
}
