//! The forward proxy of a network that has no other way out.
//!
//! Variables and rules are those of GitHub's runner ([documentation], [source]): `https_proxy` is the
//! proxy for HTTPS, and `no_proxy` lists what is reached without it. A connection through the proxy is
//! a tunnel (`CONNECT`), in which TLS is spoken with the server itself.
//!
//! [documentation]: https://docs.github.com/actions/how-tos/manage-runners/self-hosted-runners/use-proxy-servers
//! [source]: https://github.com/actions/runner/blob/main/src/Runner.Sdk/RunnerWebProxy.cs

use crate::settings::{Error, Settings, Variable};

const HTTPS_PROXY: Variable = Variable::optional(
    "https_proxy",
    "forward proxy of every HTTPS connection, as `http://HOST:PORT`",
);
const NO_PROXY: Variable = Variable::optional(
    "no_proxy",
    "hosts and domains that are reached without the proxy, separated by commas",
);

/// What [`Proxy::of`] reads.
pub const VARIABLES: [Variable; 2] = [HTTPS_PROXY, NO_PROXY];

/// A forward proxy, and what is reached without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://HOST:PORT`.
    pub url: String,
    /// Hosts and domains, separated by commas.
    pub except: String,
}

impl Proxy {
    /// The proxy that the settings name. One that cannot be used is an error: without it, connections
    /// would leave the network another way, or fail without a reason.
    pub fn of(settings: &Settings) -> Result<Option<Self>, Error> {
        let Some(url) = settings.maybe(&HTTPS_PROXY) else {
            return Ok(None);
        };
        match problem(&url) {
            None => Ok(Some(Self {
                url,
                except: settings.maybe(&NO_PROXY).unwrap_or_default(),
            })),
            Some(problem) => Err(unusable(&url, problem.to_owned())),
        }
    }

    /// The error for an address that a client cannot read.
    pub fn unusable(&self, problem: &impl ToString) -> Error {
        unusable(&self.url, problem.to_string())
    }
}

fn unusable(url: &str, problem: String) -> Error {
    Error::Unusable {
        name: HTTPS_PROXY.name,
        // A password must not reach the log.
        value: url
            .rsplit_once('@')
            .map_or(url.to_owned(), |(_, host)| format!("…@{host}")),
        problem,
        meaning: HTTPS_PROXY.meaning,
    }
}

fn problem(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Some("it does not begin with http://");
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Some("it has a user or a password, which every job could read");
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Some("it has no host, or more than host and port");
    }
    port.parse::<u16>()
        .is_err()
        .then_some("its port is no number up to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str) -> Result<Option<Proxy>, Error> {
        Proxy::of(&Settings::from_pairs([("https_proxy", url)]))
    }

    #[test]
    fn a_proxy_is_host_and_port() {
        for url in [
            "http://proxy.example.org:3128",
            "http://proxy.local",
            "http://egress_proxy:3128",
            "http://10.0.0.5:8080/",
            "http://[fd00::1]:3128",
        ] {
            assert_eq!(proxy(url).unwrap().unwrap().url, url);
        }
        assert_eq!(proxy(" "), Ok(None));
        let pairs = [
            ("https_proxy", "http://proxy:1"),
            ("no_proxy", "a.example,.b"),
        ];
        let proxy = Proxy::of(&Settings::from_pairs(pairs)).unwrap().unwrap();
        assert_eq!(proxy.except, "a.example,.b");
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_name_and_without_its_password() {
        for (url, word) in [
            ("proxy.example.org:3128", "http://"),
            ("https://proxy.example.org", "http://"),
            ("socks5://proxy.example.org", "http://"),
            ("http://", "no host"),
            ("http://proxy/path", "more than host"),
            ("http://proxy:many", "port"),
            ("http://me:hunter2@proxy:3128", "password"),
        ] {
            let error = proxy(url).unwrap_err().to_string();
            assert!(error.contains("https_proxy"), "{error}");
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
