//! A GitHub behind a private authority, to which only a forward proxy has a way.
//!
//! ```text
//! functions ── TLS ──┐                     ┌─▶ TLS ends ─┐
//!                    ├─▶ tinyproxy ───────▶│ gate        ├─▶ recorder ─▶ GitHub stand-in
//! runner ── HTTP ────┘   from 127.0.0.2    └─▶ plain ────┘
//! ```
//!
//! The gate stands at 127.0.0.3, which `no_proxy` does not list, and turns away every connection that does
//! not come from the proxy's own address.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::harness::LIMIT;

/// Where connections of the proxy come from.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const GATE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A private authority, and what a server needs that it certifies.
pub(crate) struct Authority {
    /// PEM file with the authority.
    pub(crate) bundle: PathBuf,
    acceptor: TlsAcceptor,
    _directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With one name for both, OpenSSL takes the leaf for its own issuer.
        root.distinguished_name = DistinguishedName::new();
        root.distinguished_name
            .push(DnType::CommonName, "A private authority");
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().expect("a key");
        let bundle = directory.path().join("authority.pem");
        let pem = root.self_signed(&root_key).expect("an authority").pem();
        fs::write(&bundle, pem).expect("the bundle is written");

        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec![GATE.to_string()])
            .and_then(|leaf| leaf.signed_by(&key, &Issuer::new(root, root_key)))
            .expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a server's configuration");
        Self {
            bundle,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            _directory: directory,
        }
    }
}

/// The two ways to a GitHub, before it is known where that is.
pub(crate) struct Gate {
    tls: TcpListener,
    plain: TcpListener,
}

/// A gate that is open, until it is dropped.
pub(crate) struct Open {
    serving: [JoinHandle<()>; 2],
    /// Connections that did not come from the proxy.
    turned_away: Arc<AtomicUsize>,
}

impl Gate {
    pub(crate) async fn new() -> Self {
        let listen = async || TcpListener::bind((GATE, 0)).await.expect("a free port");
        Self {
            tls: listen().await,
            plain: listen().await,
        }
    }

    /// Where functions and jobs reach GitHub.
    pub(crate) fn tls_url(&self) -> String {
        format!("https://{}", self.tls.local_addr().expect("an address"))
    }

    /// Where the runner stand-in, which speaks no TLS, reaches it.
    pub(crate) fn plain_url(&self) -> String {
        format!("http://{}", self.plain.local_addr().expect("an address"))
    }

    /// Leads to the server at that address.
    pub(crate) fn open(self, authority: &Authority, server: &str) -> Open {
        let server: SocketAddr = server
            .trim_start_matches("http://")
            .parse()
            .expect("an address");
        let turned_away = Arc::new(AtomicUsize::new(0));
        let serve = |listener, acceptor| {
            tokio::spawn(serve(listener, acceptor, server, Arc::clone(&turned_away)))
        };
        Open {
            serving: [
                serve(self.tls, Some(authority.acceptor.clone())),
                serve(self.plain, None),
            ],
            turned_away,
        }
    }
}

impl Open {
    pub(crate) fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::Relaxed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for serving in &self.serving {
            serving.abort();
        }
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    server: SocketAddr,
    turned_away: Arc<AtomicUsize>,
) {
    while let Ok((stream, peer)) = listener.accept().await {
        if peer.ip() != IpAddr::V4(PROXY) {
            turned_away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                None => relay(stream, server).await,
                Some(acceptor) => {
                    // A client that does not trust us ends it here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        relay(stream, server).await;
                    }
                }
            }
        });
    }
}

async fn relay(mut stream: impl AsyncRead + AsyncWrite + Unpin, server: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        // Either side may just close.
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}

/// Debian's tinyproxy on 127.0.0.1, until it is dropped.
pub(crate) struct Tinyproxy {
    pub(crate) url: String,
    process: Child,
    log: PathBuf,
    _directory: TempDir,
}

impl Tinyproxy {
    pub(crate) async fn start() -> Self {
        let program = tooling::tinyproxy().expect(
            "this test needs tinyproxy: run `cargo xtask prepare` as root, or install it (Debian: apt install tinyproxy-bin)",
        );
        let directory = tempfile::tempdir().expect("a directory");
        let begun = Instant::now();
        loop {
            let (url, log, mut process) = start(&program, directory.path());
            let address = url.trim_start_matches("http://").to_owned();
            while begun.elapsed() < LIMIT {
                if TcpStream::connect(&address).await.is_ok() {
                    return Self {
                        url,
                        process,
                        log,
                        _directory: directory,
                    };
                }
                if process.try_wait().expect("its state").is_some() {
                    // Another process was faster at the port.
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "tinyproxy does not listen: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
        }
    }

    /// What it wrote down.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts it on a port that was free a moment ago: it cannot choose one itself.
fn start(program: &Path, directory: &Path) -> (String, PathBuf, Child) {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let (config, log) = (directory.join("conf"), directory.join("log"));
    let settings = format!(
        "Port {}\nListen 127.0.0.1\nBind {PROXY}\nAllow 127.0.0.1\nTimeout 120\nMaxClients 100\nLogLevel Connect\nLogFile \"{}\"\n",
        address.port(),
        log.display()
    );
    fs::write(&config, settings).expect("its configuration is written");
    let process = Command::new(program)
        .arg("-d")
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("tinyproxy starts");
    (format!("http://{address}"), log, process)
}
