//! GitHub's signature over a webhook's raw body ([documentation]). Pure, and constant in time.
//!
//! [documentation]: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries

use std::str::FromStr;

use ring::hmac;

/// The header that carries the signature.
pub const HEADER: &str = "x-hub-signature-256";

const SCHEME: &str = "sha256=";
/// SHA-256 gives 32 bytes, twice as many hexadecimal digits.
const BYTES: usize = 32;

/// Why a body is not taken for GitHub's. The sender is never told which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("the request has no {HEADER} header")]
    Missing,
    /// It is made in another way.
    #[error("the signature does not start with `{SCHEME}`")]
    Scheme,
    /// It is too short or too long.
    #[error("the signature has {0} digits instead of 64")]
    Length(usize),
    /// It is no number.
    #[error("the signature is not hexadecimal")]
    Digits,
    /// It is another body's, or made with another secret.
    #[error("the signature matches none of the secrets")]
    Mismatch,
}

/// A signature as it came, well formed but not yet checked.
#[derive(Clone, Copy, Debug)]
pub struct Signature([u8; BYTES]);

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(header: &str) -> Result<Self, Self::Err> {
        let digits = header.strip_prefix(SCHEME).ok_or(SignatureError::Scheme)?;
        if digits.len() != 2 * BYTES {
            return Err(SignatureError::Length(digits.len()));
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| {
                char::from(c)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            match pair {
                [high, low] => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => *byte = high << 4 | low,
                    _ => return Err(SignatureError::Digits),
                },
                _ => return Err(SignatureError::Length(digits.len())),
            }
        }
        Ok(Self(bytes))
    }
}

/// The secrets that a body may be signed with. `Debug` shows how many there are, nothing else.
#[derive(Clone)]
pub struct Keys(Vec<hmac::Key>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// Reads secrets, one per line: the first is current, the others are still accepted while the
    /// secret is being changed. None where there is no secret in the text.
    pub fn parse(text: &str) -> Option<Self> {
        let keys: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|secret| !secret.is_empty())
            .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Whether one of the secrets signed the body. Each is tried, so that how long it takes does not
    /// tell which one did.
    pub fn signed(&self, body: &[u8], signature: &Signature) -> bool {
        self.0.iter().fold(false, |signed, key| {
            hmac::verify(key, body, &signature.0).is_ok() | signed
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example in GitHub's documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_documented_example_is_accepted() {
        assert!(
            Keys::parse(SECRET)
                .unwrap()
                .signed(BODY, &SIGNED.parse().unwrap())
        );
    }

    #[test]
    fn another_body_or_another_secret_is_refused() {
        let signature = SIGNED.parse().unwrap();
        assert!(
            !Keys::parse(SECRET)
                .unwrap()
                .signed(b"Hello, World", &signature)
        );
        assert!(!Keys::parse("another").unwrap().signed(BODY, &signature));
    }

    #[test]
    fn a_secret_that_is_being_replaced_is_still_accepted() {
        let signature = SIGNED.parse().unwrap();
        for text in [
            format!("new\n{SECRET}\n"),
            format!("{SECRET}\r\nold"),
            format!("\n\n  {SECRET}  \n"),
        ] {
            assert!(
                Keys::parse(&text).unwrap().signed(BODY, &signature),
                "{text:?}"
            );
        }
    }

    #[test]
    fn no_secret_is_no_key_instead_of_an_empty_one() {
        for text in ["", "\n", " \r\n \n"] {
            assert!(Keys::parse(text).is_none());
        }
    }

    #[test]
    fn malformed_signatures_are_told_apart() {
        let digits = &SIGNED[SCHEME.len()..];
        for (header, error) in [
            (String::new(), SignatureError::Scheme),
            (digits.to_owned(), SignatureError::Scheme),
            (format!("sha1={digits}"), SignatureError::Scheme),
            ("sha256=".to_owned(), SignatureError::Length(0)),
            (
                format!("sha256={}", &digits[1..]),
                SignatureError::Length(63),
            ),
            (format!("sha256={digits}0"), SignatureError::Length(65)),
            (format!("sha256=+{}", &digits[1..]), SignatureError::Digits),
            (format!("sha256=é{}", &digits[2..]), SignatureError::Digits),
        ] {
            assert_eq!(header.parse::<Signature>().unwrap_err(), error, "{header}");
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        assert_eq!(format!("{:?}", Keys::parse("a\nb").unwrap()), "Keys(2)");
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(header in "(sha256=)?\\PC{0,80}") {
            let _ = header.parse::<Signature>();
        }
    }
}
