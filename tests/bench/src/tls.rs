//! A certificate for loopback, made for one run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::TLS13;

/// Where Linux distributions keep the authorities they trust; Lambda's is the second.
const BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What servers and clients on loopback need to trust each other.
pub(crate) struct Authority {
    pub(crate) acceptor: TlsAcceptor,
    /// The system's authorities and ours: a handler reads as many in Lambda, and that is a part of
    /// its start.
    pub(crate) bundle: PathBuf,
    /// Amazon's authorities and ours, which is what a function trusts for AWS.
    pub(crate) amazon: PathBuf,
    /// Ours alone, in place of those for GitHub that a function carries in it: to parse this one from PEM
    /// takes as long as the eight from DER.
    pub(crate) github: PathBuf,
    /// How many authorities that is.
    pub(crate) roots: usize,
}

impl Authority {
    /// `amazon` is the file of Amazon's authorities that functions carry in them.
    pub(crate) fn new(directory: &Path, amazon: &Path) -> anyhow::Result<Self> {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With one name for both, OpenSSL takes the leaf for its own issuer.
        root.distinguished_name = DistinguishedName::new();
        root.distinguished_name
            .push(DnType::CommonName, "cargo xtask bench");
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate()?;
        let root_pem = root.self_signed(&root_key)?.pem();

        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?
            .signed_by(&key, &Issuer::new(root, root_key))?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];

        let system = BUNDLES
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        let all = format!("{system}\n{root_pem}");
        let bundle = directory.join("authorities.pem");
        fs::write(&bundle, &all).with_context(|| format!("writing {}", bundle.display()))?;
        let few =
            fs::read_to_string(amazon).with_context(|| format!("reading {}", amazon.display()))?;
        let amazon = directory.join("amazon.pem");
        fs::write(&amazon, format!("{few}\n{root_pem}"))
            .with_context(|| format!("writing {}", amazon.display()))?;
        let github = directory.join("github.pem");
        fs::write(&github, &root_pem).with_context(|| format!("writing {}", github.display()))?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            bundle,
            amazon,
            github,
            roots: all.matches("-----BEGIN CERTIFICATE-----").count(),
        })
    }
}
