//! The catalogue as one parameter: `v3:` and base64 of deflated JSON.
//!
//! ```text
//! {"publishedAt":"2026-01-01T00:00:00Z","families":[{"family":"fargate-runners-ubuntu","labels":[…],…}]}
//! ```
//!
//! Families resemble one another, so fifty of them deflate to about a kilobyte: plain JSON would
//! not fit into a parameter at all.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::Catalogue;

/// What a parameter of the Standard tier holds, in characters; more needs the Advanced tier
/// ([tiers](https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html)).
pub const STANDARD_LIMIT: usize = 4_096;

/// What a parameter of the Advanced tier holds, in characters.
const ADVANCED_LIMIT: usize = 8_192;

/// Far beyond any catalogue that fits a parameter; what inflates further is not one of ours.
const INFLATED_LIMIT: u64 = 1024 * 1024;

/// What the text begins with. Version 1 did not tell whose a definition is nor whom it is for, and
/// version 2 not how large a job may make its task. So neither can be trusted: `match` reads ECS itself
/// until `sweep` has published anew.
const VERSION: &str = "v3:";

/// A catalogue that cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It does not fit into a parameter of any tier.
    #[error(
        "the catalogue of {families} families takes {length} characters and a parameter holds \
         {ADVANCED_LIMIT}; `match` goes on reading ECS itself"
    )]
    TooLarge {
        /// How many families it lists.
        families: usize,
        /// How many characters it takes.
        length: usize,
    },
    /// It could not be written as JSON, or not deflated.
    #[error("cannot compress the catalogue: {0}")]
    Packing(#[from] std::io::Error),
}

/// A parameter that holds no catalogue this version can read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It does not begin as this version writes it.
    #[error("the published catalogue does not start with `{VERSION}`")]
    Version,
    /// What follows is not base64.
    #[error("the published catalogue is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// What that holds is not deflated, or inflates too far.
    #[error("cannot decompress the published catalogue: {0}")]
    Inflate(#[from] std::io::Error),
    /// What that holds is not a catalogue.
    #[error("cannot parse the published catalogue: {0}")]
    Json(#[from] serde_json::Error),
}

/// The name of the parameter that holds a deployment's published catalogue.
pub fn parameter(prefix: &str) -> String {
    format!("/{}/catalogue", prefix.trim_matches('/'))
}

impl Catalogue {
    /// The text to publish. Longer than [`STANDARD_LIMIT`], it needs a parameter of the Advanced
    /// tier; what is too long for that as well is an error.
    pub fn encode(&self) -> Result<String, EncodeError> {
        let json = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(&json)?;
        let text = format!("{VERSION}{}", STANDARD.encode(deflate.finish()?));
        if text.len() > ADVANCED_LIMIT {
            return Err(EncodeError::TooLarge {
                families: self.offers.len(),
                length: text.len(),
            });
        }
        Ok(text)
    }

    /// Reads what [`Catalogue::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let packed = text
            .trim()
            .strip_prefix(VERSION)
            .ok_or(DecodeError::Version)?;
        let packed = STANDARD.decode(packed)?;
        let mut json = Vec::new();
        DeflateDecoder::new(packed.as_slice())
            .take(INFLATED_LIMIT)
            .read_to_end(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::{Definition, LabelSet, Warm};
    use time::OffsetDateTime;

    use super::*;
    use crate::Offer;

    fn offer(family: &str, labels: &str) -> Offer {
        Offer {
            definition: Definition {
                family: family.to_owned(),
                capacity: vec!["FARGATE".to_owned()],
                cpu: Some(1024),
                memory: Some(2048),
                architecture: Some("X86_64".to_owned()),
                network_mode: Some("awsvpc".to_owned()),
                runner_group: None,
                warm: Some(Warm {
                    slots: 2,
                    spot: false,
                    max_per_repository: Some(1),
                }),
                revision: Some(7),
                shell: true,
                rerun_after_interruption: true,
            },
            deployment: Some("fargate-runners".to_owned()),
            repositories: Some(crate::Audience::parse("octo/hello")),
            labels: LabelSet::parse(labels),
            containers: vec!["runner".to_owned()],
            runner_version: Some("2.338.0".to_owned()),
            limits: crate::Limits {
                cpu: Some(4_096),
                memory: None,
                disk: Some(100),
            },
            disk: None,
            beside: None,
            needs: None,
        }
    }

    fn catalogue(offers: Vec<Offer>) -> Catalogue {
        Catalogue {
            read_at: OffsetDateTime::UNIX_EPOCH,
            offers,
            turn: 0,
        }
    }

    #[test]
    fn fifty_families_fit_a_standard_parameter() {
        let offers = (0..50)
            .map(|n| {
                offer(
                    &format!("fargate-runners-ubuntu-{n}"),
                    &format!("self-hosted linux x64 team-{n} cpu-{}", n % 7),
                )
            })
            .collect();
        let text = catalogue(offers).encode().unwrap();
        assert!(text.len() <= STANDARD_LIMIT, "{} characters", text.len());
    }

    #[test]
    fn what_no_parameter_holds_is_refused_with_its_size() {
        // Names without a pattern do not deflate.
        let mut state = 1_u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("{state:x}")
        };
        let offers = (0..1_000).map(|_| offer(&noise(), &noise())).collect();
        let error = catalogue(offers).encode().unwrap_err().to_string();
        assert!(
            error.starts_with("the catalogue of 1000 families takes"),
            "{error}"
        );
    }

    #[test]
    fn other_parameters_are_refused() {
        for text in ["", "v2:AAAA", "v4:AAAA", "v3:!", "v3:AAAA", "v3:"] {
            assert!(Catalogue::decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_version_before_published_is_not_believed() {
        let text = catalogue(vec![offer("fargate-runners-ubuntu", "linux")])
            .encode()
            .unwrap();
        let before = text.replacen("v3:", "v2:", 1);
        assert!(matches!(
            Catalogue::decode(&before),
            Err(DecodeError::Version)
        ));
    }

    #[test]
    fn the_parameter_lies_under_the_prefix() {
        assert_eq!(parameter("fargate-runners"), "/fargate-runners/catalogue");
        assert_eq!(parameter("/a/b/"), "/a/b/catalogue");
    }

    proptest! {
        #[test]
        fn what_is_published_reads_back(names in prop::collection::vec("[a-z0-9-]{1,40}", 0..8), labels in "[a-z0-9 ]{1,40}", seconds in 0_i64..4_000_000_000) {
            let catalogue = Catalogue {
                read_at: OffsetDateTime::from_unix_timestamp(seconds).unwrap(),
                offers: names.iter().map(|name| offer(name, &labels)).collect(),
                turn: 7,
            };
            prop_assert_eq!(Catalogue::decode(&catalogue.encode().unwrap()).unwrap(), catalogue);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = Catalogue::decode(&format!("v3:{text}"));
        }
    }
}
