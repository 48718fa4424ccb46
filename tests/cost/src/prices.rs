//! List prices, in US dollars, of us-east-1.

/// When the prices were looked up.
pub(crate) const AS_OF: &str = "2026-11-26";

/// A price, what it is for, and where it is published.
pub(crate) struct Price {
    pub(crate) what: &'static str,
    /// Dollars for one of `what`.
    pub(crate) dollars: f64,
    /// How the list states it.
    pub(crate) listed: &'static str,
    pub(crate) source: &'static str,
}

const STEP_FUNCTIONS: &str = "https://aws.amazon.com/step-functions/pricing/";
const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const FARGATE: &str = "https://aws.amazon.com/fargate/pricing/";

macro_rules! prices {
    ($($name:ident: $what:literal, $dollars:expr, $listed:literal, $source:expr;)+) => {
        $(pub(crate) static $name: Price = Price {
            what: $what, dollars: $dollars, listed: $listed, source: $source,
        };)+
        /// Every price there is.
        pub(crate) static ALL: &[&Price] = &[$(&$name),+];
    };
}

prices! {
    TRANSITION: "state transition, Standard workflow", 25e-6, "$0.025 per 1,000", STEP_FUNCTIONS;
    INVOCATION: "Lambda request", 0.2e-6, "$0.20 per million", LAMBDA;
    GB_SECOND_ARM: "Lambda GB-second, arm64", 13.333_4e-6, "$0.0000133334", LAMBDA;
    GB_SECOND_X86: "Lambda GB-second, x86_64", 16.666_7e-6, "$0.0000166667", LAMBDA;
    LOG_GB: "CloudWatch Logs, GB taken in", 0.50, "$0.50", CLOUDWATCH;
    METRIC_MONTH: "custom metric, month (billed by the hours with values)", 0.30, "$0.30", CLOUDWATCH;
    ALARM_MONTH: "alarm, month", 0.10, "$0.10", CLOUDWATCH;
    DASHBOARD_MONTH: "dashboard, month", 3.0, "$3.00", CLOUDWATCH;
    KMS_CALL: "KMS request", 3e-6, "$0.03 per 10,000", "https://aws.amazon.com/kms/pricing/";
    KEY_MONTH: "KMS key, month", 1.0, "$1.00", "https://aws.amazon.com/kms/pricing/";
    SQS_CALL: "SQS request", 0.4e-6, "$0.40 per million", "https://aws.amazon.com/sqs/pricing/";
    CUSTOM_EVENT: "EventBridge custom event", 1e-6, "$1.00 per million", "https://aws.amazon.com/eventbridge/pricing/";
    HTTP_API_CALL: "API Gateway HTTP API request", 1e-6, "$1.00 per million", "https://aws.amazon.com/api-gateway/pricing/";
    SECRET_CALL: "Secrets Manager request", 5e-6, "$0.05 per 10,000", "https://aws.amazon.com/secrets-manager/pricing/";
    SECRET_MONTH: "secret, month", 0.40, "$0.40", "https://aws.amazon.com/secrets-manager/pricing/";
    VCPU_HOUR_X86: "Fargate vCPU-hour, x86_64", 0.040_48, "$0.04048", FARGATE;
    GB_HOUR_X86: "Fargate GB-hour, x86_64", 0.004_445, "$0.004445", FARGATE;
    VCPU_HOUR_ARM: "Fargate vCPU-hour, arm64", 0.032_38, "$0.03238", FARGATE;
    GB_HOUR_ARM: "Fargate GB-hour, arm64", 0.003_56, "$0.00356", FARGATE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_names_a_page_of_aws() {
        for price in ALL {
            assert!(
                price.source.starts_with("https://aws.amazon.com/"),
                "{}",
                price.what
            );
            assert!(price.dollars > 0.0, "{}", price.what);
        }
    }
}
