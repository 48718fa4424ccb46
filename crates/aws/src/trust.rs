//! The certificate authorities that a handler trusts for AWS.
//!
//! | configuration | authorities |
//! |---|---|
//! | `AWS_CA_BUNDLE` | those in that file, and no others |
//! | `AWS_ENDPOINT_URL`, or a region of another partition than `aws` | the system's |
//! | otherwise | the five of [Amazon Trust Services], which certify every endpoint there |
//!
//! `CA_BUNDLE` adds those in its file to the last two rows: a proxy that decrypts shows certificates of its
//! own.
//!
//! Parsing the system's 145 takes longer than the rest of a handler's start (docs/performance.md),
//! and five trusted authorities are fewer than 145.
//!
//! [Amazon Trust Services]: https://www.amazontrust.com/repository/

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use runtime::settings::{Error, Settings, Variable, shared};

/// All five roots, as Amazon recommends for a trust store. The first one expires at the end of
/// 2037.
const AMAZON: &str = include_str!("amazon-trust-services.pem");

/// Start of a certificate in PEM.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Prefixes of the regions of the partition `aws`. Their names have three parts (`eu-west-1`); four
/// parts, as in `us-gov-west-1` or `eusc-de-east-1`, mean another partition, which may use other
/// authorities.
const AREAS: [&str; 9] = ["af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Amazon,
    System,
    /// The system's, and these in PEM.
    SystemAnd(String),
    /// Only these, in PEM.
    Bundle(String),
}

impl Trust {
    /// The authorities that the settings select.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Error> {
        if let Some(pem) = file(settings, &shared::AWS_CA_BUNDLE)? {
            return Ok(Self::Bundle(pem));
        }
        let more = file(settings, &shared::CA_BUNDLE)?;
        let region = settings.text(&shared::AWS_REGION)?;
        let parts: Vec<_> = region.split('-').collect();
        let ordinary = matches!(parts[..], [area, _, _] if AREAS.contains(&area));
        let amazon = ordinary && settings.maybe(&shared::AWS_ENDPOINT_URL).is_none();
        Ok(match (amazon, more) {
            (true, None) => Self::Amazon,
            (true, Some(more)) => Self::Bundle(format!("{AMAZON}\n{more}")),
            (false, None) => Self::System,
            (false, Some(more)) => Self::SystemAnd(more),
        })
    }

    /// Trust store of a client.
    pub(crate) fn context(self) -> TlsContext {
        let store = match self {
            Self::System => return TlsContext::default(),
            Self::SystemAnd(pem) => TrustStore::default().with_pem_certificate(pem),
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON),
            Self::Bundle(pem) => TrustStore::empty().with_pem_certificate(pem),
        };
        // Fails only for a provider without custom authorities; rustls supports them.
        TlsContext::builder()
            .with_trust_store(store)
            .build()
            .unwrap_or_default()
    }
}

/// The file that a variable names.
fn file(settings: &Settings, variable: &Variable) -> Result<Option<String>, Error> {
    let Some(path) = settings.maybe(variable) else {
        return Ok(None);
    };
    let problem = match std::fs::read_to_string(&path) {
        Ok(pem) if pem.contains(CERTIFICATE) => return Ok(Some(pem)),
        Ok(_) => "it contains no certificate".to_owned(),
        Err(error) => format!("cannot read it: {error}"),
    };
    Err(Error::Unusable {
        name: variable.name,
        value: path,
        problem,
        meaning: variable.meaning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(pairs: &[(&str, &str)]) -> Result<Trust, Error> {
        let region = [("AWS_REGION", "eu-central-1")];
        Trust::of(&Settings::from_pairs(
            region.into_iter().chain(pairs.iter().copied()),
        ))
    }

    #[test]
    fn amazons_five_authorities_certify_amazons_endpoints() {
        assert_eq!(AMAZON.matches(CERTIFICATE).count(), 5);
        for region in ["us-east-1", "eu-central-2", "ap-southeast-7"] {
            assert_eq!(trust(&[("AWS_REGION", region)]).unwrap(), Trust::Amazon);
        }
    }

    #[test]
    fn where_others_may_certify_the_systems_authorities_do() {
        for pair in [
            ("AWS_ENDPOINT_URL", "https://localhost:4566"),
            ("AWS_REGION", "cn-north-1"),
            ("AWS_REGION", "us-gov-west-1"),
            ("AWS_REGION", "us-isob-east-1"),
            ("AWS_REGION", "eusc-de-east-1"),
        ] {
            assert_eq!(trust(&[pair]).unwrap(), Trust::System, "{pair:?}");
        }
    }

    #[test]
    fn a_bundle_takes_the_place_of_all_others() {
        let file = std::env::temp_dir().join(format!("bundle-{}.pem", std::process::id()));
        std::fs::write(&file, AMAZON).unwrap();
        let path = file.display().to_string();
        let pairs = [
            ("AWS_CA_BUNDLE", path.as_str()),
            ("AWS_ENDPOINT_URL", "https://localhost"),
        ];
        let trusted = trust(&pairs);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(trusted.unwrap(), Trust::Bundle(AMAZON.to_owned()));
    }

    #[test]
    fn a_deployments_authorities_come_beside_all_others() {
        let file = std::env::temp_dir().join(format!("more-{}.pem", std::process::id()));
        let more = AMAZON.split_inclusive("-----END CERTIFICATE-----").next();
        let more = more.unwrap().to_owned();
        std::fs::write(&file, &more).unwrap();
        let path = file.display().to_string();
        let bundle = ("CA_BUNDLE", path.as_str());
        let trusted = trust(&[bundle]);
        let elsewhere = trust(&[bundle, ("AWS_REGION", "cn-north-1")]);
        std::fs::remove_file(&file).unwrap();
        let Trust::Bundle(both) = trusted.unwrap() else {
            panic!("the five are left out");
        };
        assert_eq!(both.matches(CERTIFICATE).count(), 6);
        assert_eq!(elsewhere.unwrap(), Trust::SystemAnd(more));
    }

    #[test]
    fn a_bundle_that_is_none_is_an_error_that_names_the_variable() {
        for variable in ["AWS_CA_BUNDLE", "CA_BUNDLE"] {
            for path in ["/nowhere.pem", "/proc/self/status"] {
                let error = trust(&[(variable, path)]).unwrap_err().to_string();
                assert!(error.contains(&format!("variable {variable} ")), "{error}");
            }
        }
    }
}
