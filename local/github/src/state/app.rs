//! The App as GitHub knows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::RsaKeyPair;

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
