//! Certificate authorities of the deployment, for the agent and for all that a job starts.
//!
//! Programs read them in different ways, so each is told in its own. `all` is the system's list and
//! the deployment's behind it, because most variables take the place of that list:
//!
//! | variable | read by | file |
//! |---|---|---|
//! | `SSL_CERT_FILE` | OpenSSL, and so [the runner itself](https://github.com/dotnet/runtime/blob/main/src/native/libs/System.Security.Cryptography.Native/pal_x509_root.c), Python, Ruby, Go | all |
//! | `NODE_EXTRA_CA_CERTS` | [Node.js](https://nodejs.org/api/cli.html#node_extra_ca_certsfile), and so most actions | the deployment's |
//! | `GIT_SSL_CAINFO` | [git](https://git-scm.com/docs/git-config#Documentation/git-config.txt-httpsslCAInfo), which is built with GnuTLS on Debian | all |
//! | `CURL_CA_BUNDLE` | [curl](https://curl.se/docs/sslcerts.html) | all |
//! | `REQUESTS_CA_BUNDLE` | [Python's requests](https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification), pip | all |
//! | `AWS_CA_BUNDLE` | [AWS's command line and SDKs](https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html) | all |

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use runtime::settings::{Error, Settings, Variable};

pub(crate) const BUNDLE: Variable = Variable::optional(
    "AGENT_CA_BUNDLE",
    "certificate authorities in PEM, which the agent and all programs of a job trust besides the image's",
);

/// Start of a certificate in PEM.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
/// Where systems keep what they trust: Debian and Ubuntu, Fedora and Amazon Linux, Alpine.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// Take the place of the system's list.
const INSTEAD: [&str; 5] = [
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "AWS_CA_BUNDLE",
];
/// Comes beside it.
const BESIDE: &str = "NODE_EXTRA_CA_CERTS";

/// The deployment's authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorities(String);

impl Authorities {
    /// Those of the settings, if there are any.
    pub(crate) fn read(settings: &Settings) -> Result<Option<Self>, Error> {
        match settings.maybe(&BUNDLE) {
            Some(pem) if !pem.contains(CERTIFICATE) => Err(Error::Unusable {
                name: BUNDLE.name,
                value: pem.chars().take(40).collect(),
                problem: "it contains no certificate".to_owned(),
                meaning: BUNDLE.meaning,
            }),
            pem => Ok(pem.map(Self)),
        }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.0
    }

    /// Writes both files below a directory and returns the variables that name them, except those that
    /// the container has already: its own list goes first.
    pub(crate) fn place(&self, directory: &Path) -> io::Result<Vec<(&'static str, PathBuf)>> {
        self.place_beside(directory, system().as_deref(), |name| env::var_os(name))
    }

    fn place_beside(
        &self,
        directory: &Path,
        system: Option<&str>,
        set: impl Fn(&str) -> Option<OsString>,
    ) -> io::Result<Vec<(&'static str, PathBuf)>> {
        fs::create_dir_all(directory)?;
        let (own, all) = (directory.join("own.pem"), directory.join("all.pem"));
        fs::write(&own, &self.0)?;
        let list = [system.unwrap_or_default(), &self.0].join("\n");
        fs::write(&all, list)?;
        let variables = INSTEAD.map(|name| (name, all.clone())).into_iter();
        Ok(variables
            .chain([(BESIDE, own)])
            .filter(|(name, _)| set(name).is_none())
            .collect())
    }
}

fn system() -> Option<String> {
    SYSTEM.iter().find_map(|path| fs::read_to_string(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

    #[test]
    fn each_program_is_told_in_its_own_way_unless_the_container_says_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("below");
        let own = Authorities(PEM.to_owned());
        let set = |name: &str| (name == "CURL_CA_BUNDLE").then(|| "/mine.pem".into());
        let variables = own.place_beside(&place, Some("SYSTEM"), set).unwrap();
        let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "SSL_CERT_FILE",
                "GIT_SSL_CAINFO",
                "REQUESTS_CA_BUNDLE",
                "AWS_CA_BUNDLE",
                "NODE_EXTRA_CA_CERTS"
            ]
        );
        for (name, path) in variables {
            let list = fs::read_to_string(path).unwrap();
            assert!(list.contains(PEM), "{name}");
            assert_eq!(list.contains("SYSTEM"), name != BESIDE, "{name}");
        }
    }

    #[test]
    fn what_holds_no_certificate_is_refused_by_name() {
        let settings = Settings::from_pairs([("AGENT_CA_BUNDLE", "/etc/ssl/corporate.pem")]);
        let error = Authorities::read(&settings).unwrap_err().to_string();
        assert!(error.contains("AGENT_CA_BUNDLE"), "{error}");
        let none = Settings::from_pairs([("HOME", "/")]);
        assert_eq!(Authorities::read(&none), Ok(None));
    }
}
