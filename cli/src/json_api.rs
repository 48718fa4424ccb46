//! Calls of services of which one or two answers are read, by AWS's JSON protocol.
//!
//! `CloudWatch`'s own crate brings two HTTP libraries of an earlier generation and big numbers into every
//! program of the workspace; `doctor` makes three such calls. They go through the same HTTP client as
//! all others, built and signed by the SDK's parts.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use serde_json::Value;

/// The longest that a call takes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A service: where it is, and how its calls are named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// The first part of its host name; requests are signed for it.
    host: &'static str,
    /// What precedes the action in `X-Amz-Target`.
    target: &'static str,
    content_type: &'static str,
}

/// `CloudWatch`. Its JSON protocol is that of [AWS's SDK for .NET][net].
///
/// [net]: https://github.com/aws/aws-sdk-net/blob/main/sdk/src/Services/CloudWatch/Generated/Model/Internal/MarshallTransformations/PutMetricDataRequestMarshaller.cs
pub(crate) const CLOUDWATCH: Service = Service {
    host: "monitoring",
    target: "GraniteServiceVersion20100801",
    content_type: "application/x-amz-json-1.0",
};

/// Service Quotas ([protocol](https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html)).
pub(crate) const QUOTAS: Service = Service {
    host: "servicequotas",
    target: "ServiceQuotasV20190624",
    content_type: "application/x-amz-json-1.1",
};

/// The operator's AWS, without a client of one service.
#[derive(Clone, Debug)]
pub struct JsonApi {
    http: Option<SharedHttpClient>,
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// Of every service, such as a local engine's.
    endpoint: Option<String>,
}

impl JsonApi {
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            http: config.http_client(),
            credentials: config.credentials_provider(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            endpoint: config.endpoint_url().map(str::to_owned),
        }
    }

    /// Makes a call, once. `call` is its IAM action, such as `cloudwatch:DescribeAlarms`.
    pub(crate) async fn call(
        &self,
        service: Service,
        call: &'static str,
        body: &Value,
    ) -> Result<Value, aws::Error> {
        let answer = Box::pin(self.send(service, call, body)).await;
        answer.map_err(|error| aws::Error::new(call, &self.region, &error))
    }

    async fn send(
        &self,
        service: Service,
        call: &'static str,
        body: &Value,
    ) -> Result<Value, SdkError<ErrorMetadata, HttpResponse>> {
        let action = call.split_once(':').map_or(call, |(_, action)| action);
        let url = self.url(service);
        let signed = self
            .signed(service, action, &url, body)
            .await
            .map_err(SdkError::construction_failure)?;
        let http = self
            .http
            .clone()
            .ok_or_else(|| SdkError::construction_failure("no HTTP client"))?;
        Operation::builder()
            .service_name(service.host)
            .operation_name(action)
            .http_client(http)
            .endpoint_url(&url)
            .no_auth()
            .no_retry()
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .serializer(Signed::request)
            .deserializer(read)
            .build()
            .invoke(signed)
            .await
    }

    fn url(&self, service: Service) -> String {
        if let Some(endpoint) = &self.endpoint {
            return format!("{}/", endpoint.trim_end_matches('/'));
        }
        let (host, region) = (service.host, &self.region);
        // https://docs.aws.amazon.com/general/latest/gr/rande.html
        let partition = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://{host}.{region}.amazonaws.com{partition}/")
    }

    async fn signed(
        &self,
        service: Service,
        action: &str,
        url: &str,
        body: &Value,
    ) -> Result<Signed, BoxError> {
        let credentials = self.credentials.as_ref().ok_or("no credentials")?;
        let identity = credentials.provide_credentials().await?.into();
        let body = body.to_string();
        let target = format!("{}.{action}", service.target);
        let mut headers = vec![
            ("content-type".to_owned(), service.content_type.to_owned()),
            ("x-amz-target".to_owned(), target),
        ];
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service.host)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let given = headers.iter();
        let request = SignableRequest::new(
            "POST",
            url,
            given.map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (signature, _) = sign(request, &parameters)?.into_parts();
        let more = signature.headers();
        headers.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(Signed { headers, body })
    }
}

/// A request with its signature.
struct Signed {
    headers: Vec<(String, String)>,
    body: String,
}

impl Signed {
    fn request(self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::from(self.body));
        request.set_method("POST")?;
        request.set_uri("/")?;
        for (name, value) in self.headers {
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

/// Its headers hold a signature and may hold a session's token.
impl fmt::Debug for Signed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signed").finish_non_exhaustive()
    }
}

/// Reads an answer: its fields, or AWS's error.
fn read(response: &HttpResponse) -> Result<Value, OrchestratorError<ErrorMetadata>> {
    let status = response.status();
    let body: Option<Value> = response
        .body()
        .bytes()
        .and_then(|bytes| serde_json::from_slice(bytes).ok());
    if let (true, Some(body)) = (status.is_success(), &body) {
        return Ok(body.clone());
    }
    let body = body.unwrap_or_default();
    let text = |name: &str| body[name].as_str();
    // The code follows the name of AWS's package, if there is one.
    let code = text("__type").or_else(|| response.headers().get("x-amzn-errortype"));
    let code = code.and_then(|code| code.rsplit('#').next());
    let code = code.map_or_else(|| format!("HTTP {}", status.as_u16()), str::to_owned);
    let message = text("message").or_else(|| text("Message"));
    let error = ErrorMetadata::builder()
        .code(code)
        .message(message.unwrap_or("the answer is not JSON of AWS"))
        .build();
    Err(OrchestratorError::operation(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(region: &str, endpoint: Option<&str>) -> JsonApi {
        JsonApi {
            http: None,
            credentials: None,
            region: region.to_owned(),
            endpoint: endpoint.map(str::to_owned),
        }
    }

    #[test]
    fn a_service_is_in_its_regions_partition_or_at_the_given_endpoint() {
        for (region, endpoint, url) in [
            (
                "eu-west-1",
                None,
                "https://monitoring.eu-west-1.amazonaws.com/",
            ),
            (
                "cn-north-1",
                None,
                "https://monitoring.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "eu-west-1",
                Some("http://127.0.0.1:9"),
                "http://127.0.0.1:9/",
            ),
        ] {
            assert_eq!(api(region, endpoint).url(CLOUDWATCH), url);
        }
    }

    #[test]
    fn a_signed_request_keeps_its_headers_out_of_debug_output() {
        let signed = Signed {
            headers: vec![("authorization".to_owned(), "secret".to_owned())],
            body: String::new(),
        };
        assert!(!format!("{signed:?}").contains("secret"));
    }

    #[tokio::test]
    async fn without_a_client_or_credentials_a_call_is_an_error() {
        let error = api("eu-west-1", None)
            .call(CLOUDWATCH, "cloudwatch:DescribeAlarms", &Value::Null)
            .await
            .unwrap_err();
        let told = error.to_string();
        assert!(told.contains("cloudwatch:DescribeAlarms"), "{told}");
    }
}
