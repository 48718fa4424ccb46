//! The URL of GitHub's REST API.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// The URL of a REST API: `https://api.github.com`, `https://HOST/api/v3` (Enterprise Server) or
/// `https://api.SUBDOMAIN.ghe.com`. Plain HTTP only on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl {
    /// Scheme and host, without a trailing slash.
    origin: String,
    /// Path prefix of every call, without a trailing slash; often empty.
    base_path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; use a URL such as https://api.github.com or https://HOST/api/v3")]
pub struct UrlError(&'static str);

impl ApiUrl {
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn base_path(&self) -> &str {
        &self.base_path
    }

    /// The URL of this GitHub's web pages, which runners register with ([`config.sh --url`]).
    ///
    /// [`config.sh --url`]: https://docs.github.com/actions/how-tos/manage-runners/self-hosted-runners/add-runners
    pub fn web(&self) -> String {
        match self.origin.strip_prefix("https://api.") {
            // An Enterprise Server's API is below its own host, whatever the host's name.
            _ if !self.base_path.is_empty() => self.origin.clone(),
            Some(host) => format!("https://{host}"),
            None => self.origin.clone(),
        }
    }
}

/// github.com.
impl Default for ApiUrl {
    fn default() -> Self {
        Self {
            origin: "https://api.github.com".to_owned(),
            base_path: String::new(),
        }
    }
}

impl FromStr for ApiUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text
            .trim()
            .parse()
            .map_err(|_| UrlError("it is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(UrlError("it has no scheme or no host"));
        };
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(UrlError("it has more than host and path"));
        }
        let this_machine = matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]");
        match scheme {
            "https" => {}
            "http" if this_machine => {}
            "http" => {
                return Err(UrlError(
                    "plain HTTP would expose the App's tokens to the network",
                ));
            }
            _ => return Err(UrlError("its scheme is not https")),
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            base_path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_github_is_read_with_its_pages() {
        for (api, shown, web) in [
            (
                "https://api.github.com/",
                "https://api.github.com",
                "https://github.com",
            ),
            (
                "https://git.example.com/api/v3/",
                "https://git.example.com/api/v3",
                "https://git.example.com",
            ),
            (
                "https://api.example.com/api/v3",
                "https://api.example.com/api/v3",
                "https://api.example.com",
            ),
            (
                "https://api.octo.ghe.com",
                "https://api.octo.ghe.com",
                "https://octo.ghe.com",
            ),
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
            ),
        ] {
            let url: ApiUrl = api.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.web().as_str()), (shown, web));
        }
    }

    #[test]
    fn what_would_leak_or_mislead_is_refused() {
        for text in [
            "",
            "api.github.com",
            "/api/v3",
            "http://api.github.com",
            "http://127.0.0.1.example.com",
            "ftp://api.github.com",
            "https://user:secret@api.github.com",
            "https://api.github.com?x=1",
        ] {
            assert!(text.parse::<ApiUrl>().is_err(), "{text}");
        }
    }
}
