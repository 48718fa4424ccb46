//! How the catalogue is read from an ECS that takes its time and throttles.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use time::OffsetDateTime;
use tokio::time::Instant;

/// How long a described definition takes to arrive.
const ANSWER: Duration = Duration::from_millis(50);
/// What ECS's bucket for describe calls holds, and how many calls a second refill it.
const BUCKET: f64 = 20.0;

/// ECS with `families` task definitions.
#[derive(Clone, Debug)]
struct Ecs {
    families: usize,
    throttles: bool,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    in_flight: usize,
    most_in_flight: usize,
    throttled: usize,
    tokens: f64,
    refilled: Instant,
}

impl Ecs {
    fn new(families: usize, throttles: bool) -> Self {
        let seen = Seen {
            in_flight: 0,
            most_in_flight: 0,
            throttled: 0,
            tokens: BUCKET,
            refilled: Instant::now(),
        };
        Self {
            families,
            throttles,
            seen: Arc::new(Mutex::new(seen)),
        }
    }

    fn client(&self) -> Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = aws_sdk_ecs::Config::builder()
            .with_test_defaults_v2()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(5)
                    .with_use_static_exponential_base(true),
            );
        Client::from_conf(config.build())
    }

    fn list(&self) -> String {
        let names: Vec<_> = (0..self.families).map(|n| format!("\"fr-{n}\"")).collect();
        format!(r#"{{"families":[{}]}}"#, names.join(","))
    }

    async fn describe(&self) -> (u16, &'static str) {
        {
            let mut seen = self.seen.lock().unwrap();
            let refill = seen.refilled.elapsed().as_secs_f64() * BUCKET;
            seen.tokens = (seen.tokens + refill).min(BUCKET);
            seen.refilled = Instant::now();
            if self.throttles && seen.tokens < 1.0 {
                seen.throttled += 1;
                return (
                    400,
                    r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
                );
            }
            seen.tokens -= 1.0;
            seen.in_flight += 1;
            seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        }
        tokio::time::sleep(ANSWER).await;
        self.seen.lock().unwrap().in_flight -= 1;
        (
            200,
            r#"{"taskDefinition":{"containerDefinitions":[{"name":"runner"}]},"tags":[{"key":"GH:labels","value":"linux"}]}"#,
        )
    }
}

impl HttpConnector for Ecs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let ecs = self.clone();
        HttpConnectorFuture::new(async move {
            let call = request.headers().get("x-amz-target").unwrap_or_default();
            let (status, body) = if call.ends_with("ListTaskDefinitionFamilies") {
                (200, ecs.list())
            } else {
                let (status, body) = ecs.describe().await;
                (status, body.to_owned())
            };
            Ok(HttpResponse::new(
                StatusCode::try_from(status).unwrap(),
                SdkBody::from(body),
            ))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn four_definitions_are_described_at_a_time() {
    let ecs = Ecs::new(12, false);
    let begun = Instant::now();

    let catalogue = catalogue::read(&ecs.client(), "fr-", OffsetDateTime::UNIX_EPOCH)
        .await
        .unwrap();

    assert_eq!(catalogue.offers.len(), 12);
    assert_eq!(ecs.seen.lock().unwrap().most_in_flight, 4);
    assert_eq!(begun.elapsed().as_millis() / ANSWER.as_millis(), 3);
}

#[tokio::test(start_paused = true)]
async fn fifty_families_are_read_from_a_throttling_ecs() {
    let ecs = Ecs::new(50, true);

    let catalogue = catalogue::read(&ecs.client(), "fr-", OffsetDateTime::UNIX_EPOCH)
        .await
        .unwrap();

    assert_eq!(catalogue.offers.len(), 50);
    assert!(ecs.seen.lock().unwrap().throttled > 0);
}
