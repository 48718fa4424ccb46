//! What dashboards and alarms watch is what handlers emit. That `metrics.json` and CDK name the same
//! metrics is tested beside each of them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tooling::Checkout;

/// All of a handler's source, its tests apart.
fn source(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            if path.is_dir() {
                source(&path)
            } else {
                fs::read_to_string(path).unwrap()
            }
        })
        .collect()
}

#[test]
fn every_metric_is_emitted_by_the_handler_that_its_list_names() {
    let checkout = Checkout::here();
    let list = fs::read_to_string(checkout.path("crates/runtime/metrics.json")).unwrap();
    let metrics: Vec<Value> = serde_json::from_str(&list).unwrap();
    for metric in &metrics {
        let (name, handler) = (&metric["name"], metric["emittedBy"].as_str().unwrap());
        let name = format!("Metric::{}", name.as_str().unwrap());
        let code = source(&checkout.path(&format!("handlers/{handler}/src")));
        let emitted = code
            .match_indices(&name)
            .any(|(at, _)| !code[at + name.len()..].starts_with(char::is_alphanumeric));
        assert!(emitted, "{handler} emits no {name}");
    }
}
