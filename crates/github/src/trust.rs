//! The certificate authorities that are trusted for GitHub.
//!
//! | configuration | authorities |
//! |---|---|
//! | `GITHUB_CA_BUNDLE` | those in that file, and no others |
//! | otherwise | the eight below and those of `CA_BUNDLE`; where none of them certifies GitHub, the system's |
//!
//! GitHub's certificates came from `DigiCert` until 2024 and come from Sectigo since ([2021], [2025]). The
//! system has 145 authorities, and parsing them took a third of the instructions of `token`'s start and
//! first invocation (docs/performance.md). So they are read only for a GitHub that none of the few
//! certifies: one that changed its authority, an Enterprise Server, or a proxy. Such a GitHub costs a
//! sandbox the time to parse them, once.
//!
//! [2021]: https://github.com/github/docs/issues/7270
//! [2025]: https://github.com/gm3dmo/the-power/issues/372

use std::sync::{Arc, OnceLock};

use runtime::settings::{Error, Settings, Variable, shared};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

pub(crate) const GITHUB_CA_BUNDLE: Variable = Variable::optional(
    "GITHUB_CA_BUNDLE",
    "PEM file with the certificate authorities to trust for GitHub instead of the usual ones, such as an Enterprise Server's",
);

/// Of the authorities that have certified GitHub, and of Let's Encrypt: roots of Mozilla's list, in DER,
/// which takes a fifth of the time of PEM. The first one expires in 2035.
const FEW: [&[u8]; 8] = [
    include_bytes!("trust/usertrust-ecc-certification-authority.der"),
    include_bytes!("trust/usertrust-rsa-certification-authority.der"),
    include_bytes!("trust/sectigo-public-server-authentication-root-e46.der"),
    include_bytes!("trust/sectigo-public-server-authentication-root-r46.der"),
    include_bytes!("trust/digicert-global-root-g2.der"),
    include_bytes!("trust/digicert-global-root-g3.der"),
    include_bytes!("trust/isrg-root-x1.der"),
    include_bytes!("trust/isrg-root-x2.der"),
];

/// Which authorities are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The few and these, then the system's.
    Usual(Vec<CertificateDer<'static>>),
    /// Those in a file, which were read from it.
    Bundle(Vec<CertificateDer<'static>>),
}

impl Default for Trust {
    fn default() -> Self {
        Self::Usual(Vec::new())
    }
}

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl Trust {
    /// The authorities that the settings select.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Error> {
        Ok(match certificates(settings, &GITHUB_CA_BUNDLE)? {
            Some(only) => Self::Bundle(only),
            None => Self::Usual(certificates(settings, &shared::CA_BUNDLE)?.unwrap_or_default()),
        })
    }

    /// The configuration of TLS connections to GitHub.
    pub(crate) fn tls(self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        Ok(match self {
            Self::Bundle(certificates) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(certificate)?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Usual(more) => {
                let few = FEW.map(CertificateDer::from);
                let verifier = Usual {
                    few: verifier(few.into_iter().chain(more), &provider)?,
                    system: OnceLock::new(),
                    provider,
                };
                // It only chooses between two of rustls's own.
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
                    .with_no_client_auth()
            }
        })
    }
}

/// The certificates in the file that a variable names.
fn certificates(
    settings: &Settings,
    variable: &Variable,
) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
    let Some(path) = settings.maybe(variable) else {
        return Ok(None);
    };
    let unusable = |problem: String| Error::Unusable {
        name: variable.name,
        value: path.clone(),
        problem,
        meaning: variable.meaning,
    };
    let pem = std::fs::read(&path).map_err(|error| unusable(format!("cannot read it: {error}")))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(format!("it is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(unusable("it contains no certificate".to_owned()));
    }
    Ok(Some(certificates))
}

/// Whether TLS failed because the server's certificate comes from an authority that is not trusted.
pub(crate) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<rustls::Error>() == Some(&unknown) {
            return true;
        }
        next = match error.downcast_ref::<std::io::Error>() {
            // An error of input and output has its cause inside; its source is the cause's own.
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

/// Skips what is no certificate: the system's list may have what rustls does not accept.
fn verifier(
    certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::client::VerifierBuilderError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
}

/// Accepts what the few authorities certify, or else the system's.
#[derive(Debug)]
struct Usual {
    few: Arc<WebPkiServerVerifier>,
    /// Made when the few are not enough; none if the system has no authorities.
    system: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    provider: Arc<CryptoProvider>,
}

impl Usual {
    fn system(&self) -> Option<&Arc<WebPkiServerVerifier>> {
        let read = || {
            let found = rustls_native_certs::load_native_certs();
            tracing::info!(
                authorities = found.certs.len(),
                "none of the few authorities certifies GitHub: read the system's"
            );
            let verifier = verifier(found.certs, &self.provider);
            verifier
                .inspect_err(|error| tracing::warn!(%error, "cannot read the system's authorities"))
                .ok()
        };
        self.system.get_or_init(read).as_ref()
    }
}

impl ServerCertVerifier for Usual {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let by = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        match by(&self.few) {
            Err(error) if error == unknown => match self.system() {
                Some(system) => by(system),
                None => Err(error),
            },
            answer => answer,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.few
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.few
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.few.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::{Duration, SystemTime};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    const HOST: &str = "github.example";

    /// An authority that is none of the few, and a certificate that it issued for the host.
    fn issued() -> [CertificateDer<'static>; 2] {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().unwrap();
        let authority = root.self_signed(&root_key).unwrap().der().clone();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        [authority, leaf.der().clone()]
    }

    /// Verifies a certificate for a host where the system has these authorities.
    fn verify(
        system: Option<CertificateDer<'static>>,
        certificate: &CertificateDer<'_>,
        host: &'static str,
    ) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let system = system.map(|authority| verifier([authority], &provider).unwrap());
        let usual = Usual {
            few: verifier(FEW.map(CertificateDer::from), &provider).unwrap(),
            system: OnceLock::from(system),
            provider,
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since.unwrap_or(Duration::ZERO));
        let name = ServerName::try_from(host).unwrap();
        let verified = usual.verify_server_cert(certificate, &[], &name, &[], now);
        verified.map(|_| ())
    }

    #[test]
    fn a_github_that_none_of_the_few_certifies_is_verified_by_the_systems_authorities() {
        let [authority, leaf] = issued();
        assert_eq!(verify(Some(authority.clone()), &leaf, HOST), Ok(()));
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(verify(None, &leaf, HOST), Err(unknown));
        let [other, _] = issued();
        assert!(verify(Some(other), &leaf, HOST).is_err());
        assert!(verify(Some(authority), &leaf, "other.example").is_err());
    }

    /// As Mozilla's list and the authorities themselves publish them.
    const FINGERPRINTS: [&str; 8] = [
        "4ff460d54b9c86dabfbcfc5712e0400d2bed3fbc4d4fbdaa86e06adcd2a9ad7a",
        "e793c9b02fd8aa13e21c31228accb08119643b749c898964b1746d46c3d4cbd2",
        "c90f26f0fb1b4018b22227519b5ca2b53e2ca5b3be5cf18efe1bef47380c5383",
        "7bb647a62aeeac88bf257aa522d01ffea395e0ab45c73f93f65654ec38f25a06",
        "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
        "31ad6648f8104138c738f39ea4320133393e3a18cc02296ef97c2ac9ef6731d0",
        "96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6",
        "69729b8e15a86efc177a57afb7171dfc64add28c2fca8cf1507e34453ccb1470",
    ];

    #[test]
    fn the_few_authorities_are_those_that_they_are_said_to_be() {
        for (certificate, expected) in FEW.into_iter().zip(FINGERPRINTS) {
            let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
            let mut hex = String::new();
            for byte in digest.as_ref() {
                write!(hex, "{byte:02x}").unwrap();
            }
            assert_eq!(hex, expected);
        }
        let mut roots = RootCertStore::empty();
        for certificate in FEW {
            roots.add(CertificateDer::from(certificate)).unwrap();
        }
    }

    #[test]
    fn without_a_bundle_the_usual_authorities_are_trusted() {
        let trust = Trust::of(&Settings::from_pairs::<&str, &str>([])).unwrap();
        assert_eq!(trust, Trust::default());
        trust.tls().unwrap();
    }

    #[test]
    fn a_deployments_authority_is_trusted_beside_the_usual_ones() {
        let [authority, leaf] = issued();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let few = FEW.map(CertificateDer::from).into_iter();
        let verifier = verifier(few.chain([authority]), &provider).unwrap();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since.unwrap_or(Duration::ZERO));
        let name = ServerName::try_from(HOST).unwrap();
        assert!(
            verifier
                .verify_server_cert(&leaf, &[], &name, &[], now)
                .is_ok()
        );
    }

    #[test]
    fn an_unknown_authority_is_told_from_other_failures() {
        use std::io::{Error, ErrorKind};
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(is_untrusted(&unknown()));
        let nested = Error::other(Error::new(ErrorKind::InvalidData, unknown()));
        assert!(is_untrusted(&nested));
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert!(!is_untrusted(&Error::other(expired)));
        assert!(!is_untrusted(&Error::from(ErrorKind::ConnectionReset)));
    }

    #[test]
    fn a_bundle_that_is_none_is_an_error_that_names_the_variable() {
        for variable in ["GITHUB_CA_BUNDLE", "CA_BUNDLE"] {
            for path in ["/nowhere.pem", "/proc/self/status"] {
                let trust = Trust::of(&Settings::from_pairs([(variable, path)]));
                let error = trust.unwrap_err().to_string();
                assert!(error.contains(&format!("variable {variable} ")), "{error}");
            }
        }
    }
}
