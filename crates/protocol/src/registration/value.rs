//! Encodes a registration as a parameter's value.
//!
//! A just-in-time configuration is base64 of JSON whose values are base64 again. It was measured at
//! 4,088 characters for four labels, and a standard parameter holds 4,096. So the outer base64 is
//! decoded, and the deflated bytes are written as base64: about a quarter shorter.

use std::fmt;
use std::io::{Read, Write};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

/// Larger than any configuration; a parameter that inflates to more is not this system's.
const INFLATED_LIMIT: u64 = 256 * 1024;

const JIT: &str = "jit1:";
const JIT_TEXT: &str = "jit1t:";
const TOKEN: &str = "token1:";

/// A secret. `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret; the only access, so that every use is found by this name.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// What a runner needs to register itself, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// A just-in-time configuration: GitHub's `encoded_jit_config`.
    Jit(Secret),
    /// A registration token and the other arguments of `config.sh`.
    Token(TokenRegistration),
}

/// Registration by `config.sh`, for servers without just-in-time runners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRegistration {
    /// Page of the repository or organization (`https://github.com/octo/hello`).
    pub url: String,
    pub token: Secret,
    pub name: String,
    /// Comma separated.
    pub labels: String,
    /// The runner group, if it has to be named.
    pub group: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot compress the registration: {0}")]
pub struct EncodeError(String);

/// A parameter without a valid registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// It starts with none of the known marks.
    #[error(
        "the parameter has no registration that this agent can read; rebuild the runner image from the deployed version"
    )]
    UnknownForm,
    /// A known mark with invalid contents.
    #[error("the registration in the parameter is damaged: {0}")]
    Damaged(&'static str),
}

impl Registration {
    /// The parameter's value. The mark at its start names the format, so that an agent from an
    /// older image can report an unknown one.
    pub fn encode(&self) -> Result<Secret, EncodeError> {
        match self {
            Self::Jit(config) => {
                let text = config.expose();
                // Decodes only what encodes back to the same characters.
                let inner = STANDARD
                    .decode(text)
                    .ok()
                    .filter(|bytes| STANDARD.encode(bytes) == text);
                let (mark, bytes) = match &inner {
                    Some(bytes) => (JIT, bytes.as_slice()),
                    None => (JIT_TEXT, text.as_bytes()),
                };
                Ok(Secret(format!("{mark}{}", deflate(bytes)?)))
            }
            Self::Token(token) => {
                let json =
                    serde_json::to_vec(token).map_err(|error| EncodeError(error.to_string()))?;
                Ok(Secret(format!("{TOKEN}{}", deflate(&json)?)))
            }
        }
    }
}

impl FromStr for Registration {
    type Err = RegistrationError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        if let Some(packed) = value.strip_prefix(JIT) {
            Ok(Self::Jit(Secret(STANDARD.encode(inflate(packed)?))))
        } else if let Some(packed) = value.strip_prefix(JIT_TEXT) {
            let text = String::from_utf8(inflate(packed)?)
                .map_err(|_| RegistrationError::Damaged("not text"))?;
            Ok(Self::Jit(Secret(text)))
        } else if let Some(packed) = value.strip_prefix(TOKEN) {
            serde_json::from_slice(&inflate(packed)?)
                .map(Self::Token)
                .map_err(|_| RegistrationError::Damaged("a field is missing"))
        } else {
            Err(RegistrationError::UnknownForm)
        }
    }
}

fn deflate(bytes: &[u8]) -> Result<String, EncodeError> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(bytes)
        .map_err(|error| EncodeError(error.to_string()))?;
    let packed = encoder
        .finish()
        .map_err(|error| EncodeError(error.to_string()))?;
    Ok(STANDARD.encode(packed))
}

fn inflate(packed: &str) -> Result<Vec<u8>, RegistrationError> {
    let packed = STANDARD
        .decode(packed)
        .map_err(|_| RegistrationError::Damaged("not base64"))?;
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed.as_slice())
        .take(INFLATED_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| RegistrationError::Damaged("not deflated"))?;
    if bytes.len() as u64 > INFLATED_LIMIT {
        return Err(RegistrationError::Damaged("it inflates beyond the limit"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_configuration_of_the_measured_size_fits_a_standard_parameter() {
        // Random numbers in base64 in JSON in base64 in JSON in base64, as GitHub nests them.
        let mut random = vec![0; 1_260];
        getrandom::fill(&mut random).unwrap();
        let inner = STANDARD.encode(format!(r#"{{"d":"{}"}}"#, STANDARD.encode(&random)));
        let outer = format!(
            r#"{{".runner":"{}",".credentials_rsaparams":"{inner}"}}"#,
            STANDARD.encode("x".repeat(500))
        );
        let config = STANDARD.encode(outer);
        assert!(config.len() > 3_900, "{}", config.len());
        let value = Registration::Jit(Secret::new(config)).encode().unwrap();
        assert!(value.expose().len() <= 4_096, "{}", value.expose().len());
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(
            format!("{:?}", Registration::Jit(Secret::new("abc"))),
            "Jit(Secret(3 bytes))"
        );
    }

    #[test]
    fn what_is_no_registration_is_refused_without_repeating_it() {
        for value in ["hunter2", "jit1:***", "jit1:aGVsbG8=", "token1:AwA="] {
            let error = value.parse::<Registration>().unwrap_err();
            assert!(!error.to_string().contains(value), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_configuration_reads_back_unchanged(text in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for config in [text, STANDARD.encode(bytes)] {
                let registration = Registration::Jit(Secret::new(config));
                let value = registration.encode().unwrap();
                prop_assert_eq!(value.expose().parse::<Registration>().unwrap(), registration);
            }
        }

        #[test]
        fn a_token_reads_back_unchanged(token in "[A-Z0-9]{29}", group in prop::option::of("[a-z ]{1,20}")) {
            let registration = Registration::Token(TokenRegistration {
                url: "https://github.com/octo/hello".into(),
                token: Secret::new(token),
                name: "fr-hello-1".into(),
                labels: "linux,self-hosted".into(),
                group,
            });
            let value = registration.encode().unwrap();
            prop_assert_eq!(value.expose().parse::<Registration>().unwrap(), registration);
        }
    }
}
