//! The App's own record of the webhooks it sent.

use http::HeaderMap;
use http::header::LINK;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::page::PAGE_SIZE;
use crate::transport::Call;
use crate::{Error, GitHub};

/// One attempt to deliver an event ([fields]).
///
/// [fields]: https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Delivery {
    /// The attempt's id.
    pub id: u64,
    /// The event's id: the same for all its attempts.
    pub guid: String,
    /// When the attempt was made.
    #[serde(with = "time::serde::rfc3339")]
    pub delivered_at: OffsetDateTime,
    /// Whether it repeats an earlier attempt.
    pub redelivery: bool,
    /// How it went, in GitHub's words.
    pub status: String,
    /// What the receiver answered; 0 where it did not.
    pub status_code: u16,
    /// The event's kind.
    pub event: String,
    /// The event's action.
    pub action: Option<String>,
    /// The installation it came from.
    pub installation_id: Option<u64>,
    /// The repository it came from.
    pub repository_id: Option<u64>,
}

impl Delivery {
    /// Whether the receiver took it.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// The attempts.
    pub deliveries: Vec<Delivery>,
    /// Where the next, older page begins.
    pub next: Option<String>,
}

impl GitHub {
    /// A page of what the App's webhook delivered in the last 3 days, from `cursor` or the newest on.
    pub async fn deliveries(&self, cursor: Option<&str>) -> Result<Deliveries, Error> {
        let mut call = Call::get("/app/hook/deliveries").with("per_page", &PAGE_SIZE.to_string());
        if let Some(cursor) = cursor {
            call = call.with("cursor", cursor);
        }
        let answer = self.as_app(&call).await?;
        Ok(Deliveries {
            deliveries: answer.json(&call)?,
            next: next_cursor(&answer.headers),
        })
    }

    /// Has an event delivered once more ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/webhooks#redeliver-a-delivery-for-an-app-webhook
    pub async fn redeliver(&self, delivery: u64) -> Result<(), Error> {
        let call = Call::post(format!("/app/hook/deliveries/{delivery}/attempts"));
        self.as_app(&call).await?.success(&call)
    }
}

/// The `cursor` of the address that a `Link` header calls `next`. It stands in a query, so what is
/// read here is still encoded; GitHub's cursors (`v1_…`) have nothing to encode.
fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let (_, address) = next.split_once('<')?;
    let (address, _) = address.split_once('>')?;
    let (_, query) = address.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("cursor="))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_cursor_is_read_out_of_the_link_header() {
        let link = |value: &str| {
            let headers = HeaderMap::from_iter([(LINK, value.parse().unwrap())]);
            next_cursor(&headers)
        };
        assert_eq!(
            link(
                r#"<https://api.github.com/app/hook/deliveries?per_page=100>; rel="first", <https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_17>; rel="next""#
            ),
            Some("v1_17".to_owned())
        );
        assert_eq!(
            link(r#"<https://api.github.com/x?cursor=v1_1>; rel="prev""#),
            None
        );
        assert_eq!(next_cursor(&HeaderMap::new()), None);
    }
}
