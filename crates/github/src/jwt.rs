//! The JWT that authenticates the App. Pure except for its random part.
//!
//! Claims:
//! <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::Secret;
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use crate::App;

/// GitHub recommends an `iat` 60 seconds in the past, for clocks that run ahead.
const BACKDATED_SECONDS: i64 = 60;
/// GitHub rejects an `exp` more than ten minutes ahead; a clock that runs ahead needs a margin.
const LIFETIME_SECONDS: i64 = 9 * 60;

/// No random numbers from the operating system, or no memory for the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign the App's JWT: the operating system returns no random numbers")]
pub(crate) struct SignError;

/// A JWT of the App, valid for nine minutes from `now` (seconds since 1970).
pub(crate) fn sign(app: &App, now: i64) -> Result<Secret, SignError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| SignError)?;
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let unsigned = format!(
        "{}.{}",
        part(&header),
        part(&claims(app.id(), now, &URL_SAFE_NO_PAD.encode(nonce)))
    );
    let mut signature = vec![0; app.key().public().modulus_len()];
    app.key()
        .sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            unsigned.as_bytes(),
            &mut signature,
        )
        .map_err(|_| SignError)?;
    Ok(Secret::new(format!(
        "{unsigned}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}

/// `jti` makes JWTs of two processes in the same second differ: GitHub has answered 404 to the
/// second of two identical JWTs.
fn claims(app_id: &str, now: i64, jti: &str) -> Value {
    // Older servers require a number for an App ID.
    let issuer = app_id
        .parse::<u64>()
        .map_or_else(|_| Value::from(app_id), Value::from);
    json!({
        "iat": now - BACKDATED_SECONDS,
        "exp": now + LIFETIME_SECONDS,
        "iss": issuer,
        "jti": jti,
    })
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    const NOW: i64 = 1_800_000_000;

    fn app(id: &str) -> App {
        App::new(id, include_str!("../tests/keys/app.pkcs1.pem")).unwrap()
    }

    fn read(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_carries_the_claims_and_a_signature_of_the_key() {
        let app = app("1234");
        let token = sign(&app, NOW).unwrap();
        let (unsigned, signature) = token.expose().rsplit_once('.').unwrap();
        let (header, claims) = unsigned.split_once('.').unwrap();
        assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT" }));
        let claims = read(claims);
        assert_eq!(claims["iss"], 1234);
        assert_eq!(claims["iat"], NOW - 60);
        assert!(claims["exp"].as_i64().unwrap() <= NOW + 600);
        let public =
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, app.key().public().as_ref());
        public
            .verify(
                unsigned.as_bytes(),
                &URL_SAFE_NO_PAD.decode(signature).unwrap(),
            )
            .unwrap();
    }

    #[test]
    fn two_tokens_of_the_same_second_differ() {
        let app = app("1234");
        assert_ne!(sign(&app, NOW).unwrap(), sign(&app, NOW).unwrap());
    }

    #[test]
    fn a_client_id_stays_text() {
        assert_eq!(
            claims("Iv1.8a61f9b3a7aba766", NOW, "x")["iss"],
            "Iv1.8a61f9b3a7aba766"
        );
    }
}
