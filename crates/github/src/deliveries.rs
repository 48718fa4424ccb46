//! The App's webhook deliveries.

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
    pub id: u64,
    /// The event's id, shared by all its attempts.
    pub guid: String,
    #[serde(with = "time::serde::rfc3339")]
    pub delivered_at: OffsetDateTime,
    /// Whether it is a redelivery.
    pub redelivery: bool,
    /// GitHub's text for the result.
    pub status: String,
    /// The receiver's HTTP status; 0 without a response.
    pub status_code: u16,
    /// The event's name.
    pub event: String,
    pub action: Option<String>,
    pub installation_id: Option<u64>,
    pub repository_id: Option<u64>,
}

impl Delivery {
    /// Whether the receiver answered 2xx.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries {
    pub deliveries: Vec<Delivery>,
    /// Cursor of the next, older page.
    pub next: Option<String>,
}

impl GitHub {
    /// A page of the App's deliveries of the last 3 days, from `cursor` or the newest.
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

    /// The newest of the App's deliveries of the last 3 days that the receiver answered with 400 to 599,
    /// one page. For a report: of a delivery without a response, GitHub does not say which side it is on.
    pub async fn failed_deliveries(&self) -> Result<Deliveries, Error> {
        let call = Call::get("/app/hook/deliveries")
            .with("per_page", &PAGE_SIZE.to_string())
            .with("status", "failure");
        let answer = self.as_app(&call).await?;
        Ok(Deliveries {
            deliveries: answer.json(&call)?,
            next: next_cursor(&answer.headers),
        })
    }

    /// Redelivers an event ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/webhooks#redeliver-a-delivery-for-an-app-webhook
    pub async fn redeliver(&self, delivery: u64) -> Result<(), Error> {
        let call = Call::post(format!("/app/hook/deliveries/{delivery}/attempts"));
        self.as_app(&call).await?.success(&call)
    }
}

/// The `cursor` in the URL of a `Link` header's `next`. It stays percent-encoded; GitHub's cursors
/// (`v1_…`) contain nothing to encode.
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
