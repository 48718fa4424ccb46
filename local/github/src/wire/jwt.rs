//! The token by which an App shows who it is, checked as GitHub documents it:
//! <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use crate::state::app::AppIdentity;
use crate::state::refusal::Refusal;

/// The longest that a token may still be valid.
const LIFETIME_SECONDS: i64 = 600;

impl AppIdentity {
    /// Checks a token at `now` (seconds since 1970, by GitHub's clock).
    pub(crate) fn check(&self, token: &str, now: i64) -> Result<(), Refusal> {
        let undecodable = || Refusal::unauthorized("A JSON web token could not be decoded");
        let (unsigned, signature) = token.rsplit_once('.').ok_or_else(undecodable)?;
        let (header, claims) = unsigned.split_once('.').ok_or_else(undecodable)?;
        let (header, claims) = (part(header), part(claims));
        let (Some(header), Some(claims)) = (header, claims) else {
            return Err(undecodable());
        };
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| undecodable())?;
        let issued_by_us = match &claims["iss"] {
            Value::Number(number) => number.as_u64() == Some(self.id),
            Value::String(text) => *text == self.client_id || *text == self.id.to_string(),
            _ => false,
        };
        if !issued_by_us {
            return Err(Refusal::new(404, "Integration not found"));
        }
        let signed = self.keys.iter().any(|key| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
                .verify(unsigned.as_bytes(), &signature)
                .is_ok()
        });
        if header["alg"] != "RS256" || !signed {
            return Err(undecodable());
        }
        match claims["exp"].as_i64() {
            Some(expires) if expires > now + LIFETIME_SECONDS => Err(Refusal::unauthorized(
                "'Expiration time' claim ('exp') is too far in the future",
            )),
            Some(expires) if expires > now => Ok(()),
            _ => Err(Refusal::unauthorized(
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            )),
        }?;
        match claims["iat"].as_i64() {
            Some(issued) if issued <= now => Ok(()),
            _ => Err(Refusal::unauthorized(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            )),
        }
    }
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use ring::rand::SystemRandom;
    use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
    use serde_json::json;

    use super::*;
    use crate::state::app::APP_PRIVATE_KEY;

    const NOW: i64 = 1_800_000_000;

    fn signed(claims: &Value) -> String {
        let body: String = APP_PRIVATE_KEY
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let pair = RsaKeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap();
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!(
            "{}.{}",
            encode(&json!({ "alg": "RS256", "typ": "JWT" })),
            encode(claims)
        );
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            unsigned.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn app() -> AppIdentity {
        AppIdentity::new(1234, "Iv1.abc", "app")
    }

    fn check(claims: &Value) -> Result<(), (u16, String)> {
        app()
            .check(&signed(claims), NOW)
            .map_err(|refusal| (refusal.status, refusal.message))
    }

    #[test]
    fn a_token_of_the_app_is_accepted_by_number_text_and_client_id() {
        for issuer in [json!(1234), json!("1234"), json!("Iv1.abc")] {
            let claims = json!({ "iss": issuer, "iat": NOW - 60, "exp": NOW + 540 });
            assert_eq!(check(&claims), Ok(()));
        }
    }

    #[test]
    fn a_token_is_refused_for_each_claim_that_is_wrong() {
        let good = json!({ "iss": 1234, "iat": NOW - 60, "exp": NOW + 540 });
        for (claim, value, status, word) in [
            ("exp", json!(NOW + 601), 401, "too far in the future"),
            ("exp", json!(NOW), 401, "'exp'"),
            ("exp", json!("soon"), 401, "'exp'"),
            ("iat", json!(NOW + 1), 401, "'iat'"),
            ("iat", Value::Null, 401, "'iat'"),
            ("iss", json!(99), 404, "Integration not found"),
        ] {
            let mut claims = good.clone();
            claims[claim] = value;
            let (code, message) = check(&claims).unwrap_err();
            assert_eq!(code, status, "{claim}");
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_token_that_another_key_signed_is_refused() {
        let token = signed(&json!({ "iss": 1234, "iat": NOW, "exp": NOW + 60 }));
        let mut app = app();
        app.keys.clear();
        assert_eq!(app.check(&token, NOW).unwrap_err().status, 401);
        for token in ["", "a.b", "a.b.c", "ghs_xyz"] {
            assert_eq!(app.check(token, NOW).unwrap_err().status, 401, "{token}");
        }
    }
}
