//! Checks the recorded calls of all earlier tests against GitHub's API description. Tests run in
//! the order of their names.

use crate::harness::{assert_succeeded, exchanges, run, script};

#[test]
fn the_handlers_talk_with_github_as_its_description_says() {
    run(async |harness| {
        for site in [&harness.repository, harness.organization().await] {
            let (_, execution) = site.run(script("octo/described", "true")).await;
            assert_succeeded(&execution);
        }
        if let Err(error) = system_tests::check_exchanges("end-to-end", &exchanges()) {
            panic!("{error:#}");
        }
    });
}
