//! The App's identity: its id and private key, parsed once.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::Fault;
use ring::signature::RsaKeyPair;

/// The longest App identifier that GitHub has issued so far has 20 characters.
const APP_ID_LIMIT: usize = 64;

/// A GitHub App's identity. `Debug` hides the key.
#[derive(Clone)]
pub struct App {
    id: String,
    key: Arc<RsaKeyPair>,
}

/// An invalid App id or private key. Never quotes the text: someone may have entered a key as the
/// id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the App id is invalid: use the number (App ID) or the client ID from the App's settings page"
    )]
    AppId,
    #[error(
        "the App's private key is neither PEM nor base64 of PEM: use the whole .pem file that GitHub generated, from -----BEGIN to -----END"
    )]
    NotPem,
    #[error(
        "the App's private key is {0}, not an unencrypted RSA private key: generate a key in the App's settings and use that .pem file"
    )]
    OtherKind(&'static str),
    /// A valid envelope with damaged contents.
    #[error(
        "the App's private key is damaged or truncated ({0}): generate a new one in the App's settings"
    )]
    Damaged(String),
}

impl KeyError {
    /// The fault name for the state machine.
    pub const fn fault(&self) -> Fault {
        Fault::AppKeyInvalid
    }
}

impl App {
    /// Parses an App's id (number or client ID) and its private key: PEM (PKCS#1 or PKCS#8), or
    /// base64 of PEM or DER.
    pub fn new(id: &str, private_key: &str) -> Result<Self, KeyError> {
        let id = id.trim();
        let fits = (1..=APP_ID_LIMIT).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        if !fits {
            return Err(KeyError::AppId);
        }
        let der = der(private_key)?;
        let key = RsaKeyPair::from_pkcs8(&der)
            .or_else(|_| RsaKeyPair::from_der(&der))
            .map_err(|rejected| KeyError::Damaged(rejected.to_string()))?;
        Ok(Self {
            id: id.to_owned(),
            key: Arc::new(key),
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether both are the same App with the same key.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.key.public().as_ref() == other.key.public().as_ref()
    }

    pub(crate) fn key(&self) -> &RsaKeyPair {
        &self.key
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Extracts the key's DER.
fn der(text: &str) -> Result<Vec<u8>, KeyError> {
    // A shell or a form often turns line ends into the two characters `
    // `.
    let text = text.replace("\\n", "\n");
    if text.contains(PEM_BEGIN) {
        return pem(&text);
    }
    let bytes = decode(&text).ok_or(KeyError::NotPem)?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.contains(PEM_BEGIN) => pem(inner),
        // DER starts with a sequence; other base64 is not a key.
        _ if bytes.first() == Some(&0x30) => Ok(bytes),
        _ => Err(KeyError::NotPem),
    }
}

const PEM_BEGIN: &str = "-----BEGIN ";

fn pem(text: &str) -> Result<Vec<u8>, KeyError> {
    let (_, rest) = text.split_once(PEM_BEGIN).ok_or(KeyError::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NotPem)?;
    match label {
        "RSA PRIVATE KEY" | "PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::OtherKind("an encrypted key")),
        "OPENSSH PRIVATE KEY" => return Err(KeyError::OtherKind("an OpenSSH key")),
        "EC PRIVATE KEY" => return Err(KeyError::OtherKind("an elliptic-curve key")),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(KeyError::OtherKind("a public key")),
        "CERTIFICATE" => return Err(KeyError::OtherKind("a certificate")),
        _ => return Err(KeyError::OtherKind("something else")),
    }
    let (body, _) = rest
        .split_once("-----END")
        .ok_or_else(|| KeyError::Damaged("the -----END line is missing".to_owned()))?;
    decode(body).ok_or_else(|| KeyError::Damaged("its body is not base64".to_owned()))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.split_whitespace().collect();
    if packed.is_empty() {
        return None;
    }
    STANDARD.decode(packed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKCS1: &str = include_str!("../tests/keys/app.pkcs1.pem");
    const PKCS8: &str = include_str!("../tests/keys/app.pkcs8.pem");

    #[test]
    fn the_same_key_is_read_from_every_wrapping() {
        let app = App::new("1234", PKCS1).unwrap();
        let body = |pem: &str| {
            let (_, rest) = pem.split_once("KEY-----").unwrap();
            let (body, _) = rest.split_once("-----END").unwrap();
            body.to_owned()
        };
        for text in [
            PKCS8.to_owned(),
            STANDARD.encode(PKCS1),
            STANDARD.encode(PKCS8),
            format!("\n{}\n", PKCS1.replace('\n', "\r\n")),
            PKCS1.replace('\n', "\\n"),
            PKCS1.replace('\n', " "),
            body(PKCS1),
            body(PKCS8),
        ] {
            assert!(App::new(" 1234\n", &text).unwrap().is_same(&app), "{text}");
        }
    }

    #[test]
    fn another_id_is_another_app() {
        let app = App::new("1234", PKCS1).unwrap();
        assert!(!App::new("1235", PKCS1).unwrap().is_same(&app));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let cut = PKCS1
            .lines()
            .take(9)
            .chain(["-----END RSA PRIVATE KEY-----"])
            .collect::<Vec<_>>()
            .join("\n");
        for (text, error) in [
            ("hunter2", KeyError::NotPem),
            ("", KeyError::NotPem),
            ("c2VjcmV0", KeyError::NotPem),
            (
                "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----",
                KeyError::OtherKind("a public key"),
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0",
                KeyError::Damaged("the -----END line is missing".to_owned()),
            ),
            (&cut, KeyError::Damaged("InvalidEncoding".to_owned())),
        ] {
            let refused = App::new("1234", text).unwrap_err();
            assert_eq!(refused, error);
            assert!(text.is_empty() || !refused.to_string().contains(text));
        }
    }

    #[test]
    fn a_key_in_the_place_of_the_id_is_refused_without_repeating_it() {
        let refused = App::new(PKCS1, PKCS1).unwrap_err();
        assert_eq!(refused, KeyError::AppId);
        assert!(!refused.to_string().contains("BEGIN"));
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let app = App::new("1234", PKCS1).unwrap();
        assert_eq!(format!("{app:?}"), "App { id: \"1234\", .. }");
    }
}
