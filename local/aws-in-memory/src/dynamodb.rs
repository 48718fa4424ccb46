//! `DynamoDB`: one table with the keys `pk` and `sk`, and as much of its expressions as this system
//! writes: comparisons, `attribute_exists` and `attribute_not_exists`, joined by AND and OR; paths into
//! maps in conditions; SET (also `if_not_exists` of the same attribute), REMOVE and ADD.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};

use crate::Aws;

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;

/// The names and values that an expression refers to.
struct Given<'a> {
    names: Option<&'a HashMap<String, String>>,
    values: Option<&'a Item>,
}

impl Given<'_> {
    fn name<'b>(&'b self, word: &'b str) -> &'b str {
        if word.starts_with('#') {
            let names = self.names.expect("names are given");
            names.get(word).expect("the name is given")
        } else {
            word
        }
    }

    fn value(&self, word: &str) -> &AttributeValue {
        let values = self.values.expect("values are given");
        values.get(word).expect("the value is given")
    }

    /// Whether a condition holds for an item.
    fn holds(&self, condition: Option<&str>, item: Option<&Item>) -> bool {
        let Some(condition) = condition else {
            return true;
        };
        split(condition, " OR ").into_iter().any(|all| {
            split(all, " AND ")
                .into_iter()
                .all(|term| match term.trim().strip_prefix('(') {
                    Some(inner) => self.holds(inner.strip_suffix(')'), item),
                    None => self.term_holds(term.trim(), item),
                })
        })
    }

    /// The value at a path, such as `#lease.#attempt`.
    fn found<'b>(&self, path: &str, item: Option<&'b Item>) -> Option<&'b AttributeValue> {
        let mut words = path.trim().split('.');
        let mut found = item?.get(self.name(words.next()?))?;
        for word in words {
            found = found.as_m().ok()?.get(self.name(word))?;
        }
        Some(found)
    }

    /// Why a write is refused, if its condition does not hold. The item is in it only if the request
    /// wants it.
    fn refusal(
        &self,
        condition: Option<&str>,
        found: Option<&Item>,
        on_failure: Option<&OnFailure>,
    ) -> Option<ConditionalCheckFailedException> {
        if self.holds(condition, found) {
            return None;
        }
        let code = ErrorMetadata::builder().code("ConditionalCheckFailedException");
        let wanted = found.filter(|_| on_failure == Some(&OnFailure::AllOld));
        let refusal = ConditionalCheckFailedException::builder()
            .set_item(wanted.cloned())
            .meta(code.build());
        Some(refusal.build())
    }

    fn term_holds(&self, term: &str, item: Option<&Item>) -> bool {
        let found = |path: &str| self.found(path, item);
        let inside = |function: &str| term.strip_prefix(function)?.strip_suffix(')');
        if let Some(word) = inside("attribute_not_exists(") {
            return found(word).is_none();
        }
        if let Some(word) = inside("attribute_exists(") {
            return found(word).is_some();
        }
        let mut words = term.split_whitespace();
        let (Some(left), Some(sign), Some(right), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            panic!("{term} is not read");
        };
        let Some(order) = found(left).and_then(|left| compare(left, self.value(right))) else {
            return false;
        };
        match sign {
            "=" => order.is_eq(),
            "<>" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            _ => panic!("{sign} is not read"),
        }
    }

    fn update(&self, expression: &str, item: &mut Item) {
        let mut clause = "";
        let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
        for word in expression.split([' ', ',']).filter(|word| !word.is_empty()) {
            // The attribute is the one that is set; its value, which follows, ends with `)`.
            if word.starts_with("if_not_exists(") {
                continue;
            }
            if ["SET", "REMOVE", "ADD"].contains(&word) {
                clause = word;
                parts.push((clause, Vec::new()));
            } else if word != "=" {
                assert!(!clause.is_empty(), "{expression} is not read");
                parts.last_mut().unwrap().1.push(word);
            }
        }
        for (clause, words) in parts {
            match clause {
                "REMOVE" => words.iter().for_each(|word| {
                    item.remove(self.name(word));
                }),
                _ => words.chunks(2).for_each(|pair| {
                    let name = self.name(pair[0]);
                    let word = pair[1].strip_suffix(')');
                    if word.is_some() && item.contains_key(name) {
                        return;
                    }
                    let value = self.value(word.unwrap_or(pair[1]));
                    let value = match (clause, item.get(name)) {
                        ("ADD", Some(before)) => add(before, value),
                        _ => value.clone(),
                    };
                    item.insert(name.to_owned(), value);
                }),
            }
        }
    }
}

/// The parts of an expression between a word that is not in parentheses.
fn split<'a>(expression: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in expression.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && at >= start && expression[at..].starts_with(word) => {
                parts.push(&expression[start..at]);
                start = at + word.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}

fn number(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

fn add(left: &AttributeValue, right: &AttributeValue) -> AttributeValue {
    AttributeValue::N((number(left).unwrap() + number(right).unwrap()).to_string())
}

/// Values of different types do not compare.
fn compare(left: &AttributeValue, right: &AttributeValue) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        (AttributeValue::Bool(left), AttributeValue::Bool(right)) => Some(left.cmp(right)),
        _ => Some(number(left)?.cmp(&number(right)?)),
    }
}

fn key(item: &Item) -> (String, String) {
    let part = |name| {
        let value = item.get(name).expect("a key has both parts");
        value.as_s().expect("a key is text").clone()
    };
    (part("pk"), part("sk"))
}

pub(crate) fn client(aws: &Aws) -> Client {
    let here = aws.clone();
    let get = mock!(Client::get_item).then_compute_output(move |request| {
        let key = key(request.key().unwrap());
        here.note("dynamodb:GetItem", &key.0);
        GetItemOutput::builder()
            .set_item(here.state().items.get(&key).cloned())
            .build()
    });
    let here = aws.clone();
    let query = mock!(Client::query).then_compute_output(move |request| {
        assert_eq!(request.key_condition_expression(), Some("pk = :pk"));
        let values = request.expression_attribute_values().unwrap();
        let partition = values[":pk"].as_s().unwrap();
        here.note("dynamodb:Query", partition);
        let state = here.state();
        let read = state.stale_items.as_ref().unwrap_or(&state.items);
        let of_partition = read.iter().filter(|(key, _)| key.0 == *partition);
        let items = of_partition.map(|(_, item)| item.clone()).collect();
        QueryOutput::builder().set_items(Some(items)).build()
    });
    let here = aws.clone();
    let scan = mock!(Client::scan).then_compute_output(move |request| {
        assert_eq!(request.filter_expression(), Some("begins_with(pk, :stock)"));
        let values = request.expression_attribute_values().unwrap();
        let start = values[":stock"].as_s().unwrap();
        here.note("dynamodb:Scan", start);
        let state = here.state();
        let of_stock = state
            .items
            .iter()
            .filter(|(key, _)| key.0.starts_with(start));
        let items = of_stock.map(|(_, item)| item.clone()).collect();
        ScanOutput::builder().set_items(Some(items)).build()
    });
    let here = aws.clone();
    let put = mock!(Client::put_item).then_compute_response(move |request| {
        let item = request.item().unwrap().clone();
        let key = key(&item);
        here.note("dynamodb:PutItem", &key.0);
        let given = Given {
            names: request.expression_attribute_names(),
            values: request.expression_attribute_values(),
        };
        let mut state = here.state();
        let before = state.items.get(&key).cloned();
        let on_failure = request.return_values_on_condition_check_failure();
        if let Some(refusal) =
            given.refusal(request.condition_expression(), before.as_ref(), on_failure)
        {
            return MockResponse::Error(PutItemError::ConditionalCheckFailedException(refusal));
        }
        state.items.insert(key, item);
        MockResponse::Output(PutItemOutput::builder().build())
    });
    let here = aws.clone();
    let update = mock!(Client::update_item).then_compute_response(move |request| {
        let key = key(request.key().unwrap());
        here.note("dynamodb:UpdateItem", &key.0);
        let given = Given {
            names: request.expression_attribute_names(),
            values: request.expression_attribute_values(),
        };
        let mut state = here.state();
        let before = state.items.get(&key).cloned();
        let on_failure = request.return_values_on_condition_check_failure();
        if let Some(refusal) =
            given.refusal(request.condition_expression(), before.as_ref(), on_failure)
        {
            return MockResponse::Error(UpdateItemError::ConditionalCheckFailedException(refusal));
        }
        let mut item = before
            .clone()
            .unwrap_or_else(|| request.key().unwrap().clone());
        given.update(request.update_expression().unwrap(), &mut item);
        state.items.insert(key, item.clone());
        let returned = match request.return_values() {
            Some(ReturnValue::AllNew) => Some(item),
            Some(ReturnValue::AllOld) => before,
            _ => None,
        };
        let output = UpdateItemOutput::builder().set_attributes(returned);
        MockResponse::Output(output.build())
    });
    let here = aws.clone();
    let delete = mock!(Client::delete_item).then_compute_response(move |request| {
        let key = key(request.key().unwrap());
        here.note("dynamodb:DeleteItem", &key.0);
        let given = Given {
            names: request.expression_attribute_names(),
            values: request.expression_attribute_values(),
        };
        let mut state = here.state();
        let before = state.items.get(&key).cloned();
        let on_failure = request.return_values_on_condition_check_failure();
        if let Some(refusal) =
            given.refusal(request.condition_expression(), before.as_ref(), on_failure)
        {
            return MockResponse::Error(DeleteItemError::ConditionalCheckFailedException(refusal));
        }
        state.items.remove(&key);
        let old = before.filter(|_| request.return_values() == Some(&ReturnValue::AllOld));
        MockResponse::Output(DeleteItemOutput::builder().set_attributes(old).build())
    });
    mock_client!(
        aws_sdk_dynamodb,
        RuleMode::MatchAny,
        [&get, &query, &scan, &put, &update, &delete],
        |config| config.retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pairs: &[(&str, AttributeValue)]) -> Item {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[test]
    fn conditions_and_updates_are_read_as_dynamodb_reads_them() {
        let number = |n: &str| AttributeValue::N(n.to_owned());
        let names = HashMap::from([("#state".to_owned(), "state".to_owned())]);
        let values = item(&[
            (":ready", AttributeValue::S("ready".to_owned())),
            (":seven", number("7")),
            (":no", AttributeValue::Bool(false)),
        ]);
        let given = Given {
            names: Some(&names),
            values: Some(&values),
        };
        let mut ticket = item(&[
            ("state", AttributeValue::S("ready".to_owned())),
            ("revision", number("10")),
            ("spot", AttributeValue::Bool(false)),
            (
                "nested",
                AttributeValue::M(item(&[("state", AttributeValue::S("ready".to_owned()))])),
            ),
        ]);
        for (condition, holds) in [
            (
                "#state = :ready AND revision >= :seven AND spot = :no",
                true,
            ),
            ("revision < :seven", false),
            ("attribute_not_exists(revision) OR revision > :seven", true),
            ("attribute_exists(token)", false),
            (
                "attribute_not_exists(token) AND (attribute_not_exists(revision) OR revision > :seven) AND spot = :no",
                true,
            ),
            (
                "(attribute_exists(token) OR revision < :seven) AND spot = :no",
                false,
            ),
            ("nested.#state = :ready", true),
            ("nested.revision = :seven", false),
            ("spot.#state = :ready", false),
            ("token = :ready", false),
            ("revision = :ready", false),
        ] {
            assert_eq!(
                given.holds(Some(condition), Some(&ticket)),
                holds,
                "{condition}"
            );
        }
        assert!(given.holds(Some("attribute_not_exists(pk)"), None));
        assert!(!given.holds(Some("#state = :ready"), None));
        given.update(
            "SET taken = :seven, revision = if_not_exists(revision, :seven) REMOVE #state, spot, nested ADD revision :seven",
            &mut ticket,
        );
        let expected = item(&[("taken", number("7")), ("revision", number("17"))]);
        assert_eq!(ticket, expected);
    }
}
