//! Where requests may come from. Pure.
//!
//! Neither front door can do this: a function URL's permission takes no address ([permission]), and an
//! HTTP API has no resource policy ([policies]). So the function does, before it looks at the body.
//!
//! [permission]: https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
//! [policies]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-vs-rest.html

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// One range of `ALLOWED_SOURCES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(IpNet);

/// Text that is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is not a range of addresses in CIDR notation, such as 192.30.252.0/22 or 2606:50c0::/32"
)]
pub struct RangeError;

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| RangeError)
    }
}

/// Where requests may come from.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Range>);

/// A request from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// From an address outside the ranges.
    #[error(
        "the request came from {0}, which is outside ALLOWED_SOURCES; if GitHub sent it, deploy again \
         with GitHub's present ranges"
    )]
    Outside(IpAddr),
    /// From no address that can be read.
    #[error("the event names no source address ({0:?}), and ALLOWED_SOURCES is set")]
    Unknown(Option<String>),
}

impl Sources {
    /// From these ranges; from anywhere if there are none.
    pub fn new(ranges: Vec<Range>) -> Self {
        Self(ranges)
    }

    /// Decides whether a request from this address is looked at.
    pub fn admit(&self, source: Option<&str>) -> Result<(), SourceError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let address = source
            .and_then(|text| text.parse::<IpAddr>().ok())
            .ok_or_else(|| SourceError::Unknown(source.map(str::to_owned)))?
            // An IPv4 address may arrive in the clothes of an IPv6 one.
            .to_canonical();
        if self.0.iter().any(|range| range.0.contains(&address)) {
            Ok(())
        } else {
            Err(SourceError::Outside(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(ranges: &[&str]) -> Sources {
        Sources::new(ranges.iter().map(|range| range.parse().unwrap()).collect())
    }

    #[test]
    fn an_address_within_a_range_is_let_in() {
        let sources = sources(&["192.30.252.0/22", "2606:50c0::/32", "203.0.113.7/32"]);
        for (address, admitted) in [
            ("192.30.252.0", true),
            ("192.30.255.255", true),
            ("192.30.251.255", false),
            ("193.0.0.0", false),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("2606:50c0::1", true),
            ("2606:50c0:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2606:50c1::", false),
            ("::ffff:192.30.252.1", true),
            ("::ffff:192.30.251.1", false),
        ] {
            assert_eq!(sources.admit(Some(address)).is_ok(), admitted, "{address}");
        }
    }

    #[test]
    fn without_ranges_requests_come_from_anywhere_and_with_them_from_somewhere() {
        assert_eq!(Sources::default().admit(None), Ok(()));
        let sources = sources(&["0.0.0.0/0"]);
        for unknown in [
            None,
            Some(""),
            Some("192.30.252.1, 10.0.0.1"),
            Some("localhost"),
        ] {
            let refused = SourceError::Unknown(unknown.map(str::to_owned));
            assert_eq!(sources.admit(unknown), Err(refused));
        }
        assert!(
            sources.admit(Some("2606:50c0::1")).is_err(),
            "that is IPv4 alone"
        );
    }

    #[test]
    fn what_is_no_range_is_told_so() {
        for text in [
            "192.30.252.0",
            "192.30.252.0/33",
            "192.30.252/22",
            "2606:50c0::/129",
            "github",
            "1.2.3.4/-1",
        ] {
            assert_eq!(text.parse::<Range>(), Err(RangeError), "{text}");
        }
    }
}
