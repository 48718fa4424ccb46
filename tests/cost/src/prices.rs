//! List prices, in US dollars, of us-east-1: `cdk/src/prices.json`, from which CDK also computes what
//! warm tasks cost.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// All prices, and when they were looked up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    as_of: String,
    prices: BTreeMap<String, Price>,
}

/// A price, what it is for, and where it is published.
#[derive(Clone, Deserialize)]
pub(crate) struct Price {
    pub(crate) what: String,
    /// Dollars for one of `what`.
    pub(crate) dollars: f64,
    /// How the list states it.
    pub(crate) listed: String,
    pub(crate) source: String,
}

#[allow(clippy::expect_used)] // The file is part of the program.
static LIST: LazyLock<List> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../cdk/src/prices.json"))
        .expect("cdk/src/prices.json is a list of prices")
});

/// When the prices were looked up.
pub(crate) fn as_of() -> &'static str {
    &LIST.as_of
}

macro_rules! prices {
    ($($name:ident,)+) => {
        $(pub(crate) static $name: LazyLock<&Price> =
            LazyLock::new(|| &LIST.prices[stringify!($name)]);)+
        /// Every price there is, in the order of the page.
        pub(crate) fn all() -> Vec<&'static Price> {
            vec![$(*$name),+]
        }
    };
}

prices! {
    TRANSITION,
    INVOCATION,
    GB_SECOND_ARM,
    GB_SECOND_X86,
    LOG_GB,
    METRIC_MONTH,
    ALARM_MONTH,
    DASHBOARD_MONTH,
    READ_UNIT,
    WRITE_UNIT,
    KMS_CALL,
    KEY_MONTH,
    SQS_CALL,
    CUSTOM_EVENT,
    HTTP_API_CALL,
    SECRET_CALL,
    SECRET_MONTH,
    VCPU_HOUR_X86,
    GB_HOUR_X86,
    VCPU_HOUR_ARM,
    GB_HOUR_ARM,
    DISK_GB_HOUR,
    ADDRESS_HOUR,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_names_a_page_of_aws() {
        for price in all() {
            assert!(
                price.source.starts_with("https://aws.amazon.com/"),
                "{}",
                price.what
            );
            assert!(price.dollars > 0.0, "{}", price.what);
        }
    }

    #[test]
    fn every_price_of_the_list_is_on_the_page() {
        assert_eq!(all().len(), LIST.prices.len());
    }

    #[test]
    fn a_price_is_what_its_list_states() {
        for price in all() {
            let (amount, per) = price
                .listed
                .split_once(" per ")
                .unwrap_or((&price.listed, "1"));
            let amount: f64 = amount.trim_start_matches('$').parse().unwrap();
            let per: f64 = match per {
                "million" => 1e6,
                number => number.replace(',', "").parse().unwrap(),
            };
            let stated = amount / per;
            assert!(
                (price.dollars - stated).abs() < stated * 1e-9,
                "{}: {} is not {}",
                price.what,
                price.dollars,
                price.listed
            );
        }
    }
}
