//! Attributes of the table's items.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use protocol::bell::{PARTITION_KEY, SORT_KEY};
use time::OffsetDateTime;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A time as the table stores it, in epoch seconds.
pub(crate) fn instant(at: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}

/// A key of the table.
pub(crate) fn key(partition: &str, sort: &str) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), text(partition)),
        (SORT_KEY.to_owned(), text(sort)),
    ])
}

pub(crate) fn get_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn get_parsed<T: FromStr>(item: &Item, name: &str) -> Option<T> {
    get_text(item, name)?.parse().ok()
}

pub(crate) fn get_number<T: FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(crate) fn get_instant(item: &Item, name: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(get_number(item, name)?).ok()
}

/// The partition of a family's stock.
pub(crate) fn family_partition(family: &str) -> String {
    format!("stock#{family}")
}
