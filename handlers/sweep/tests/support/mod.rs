//! What the tests of `sweep` begin with.

use aws_in_memory::Aws;
use github::{App, GitHub, Patience};
use github_standin::{APP_PRIVATE_KEY, Server};
use runtime::settings::Settings;
use sweep::{Config, Deps, Releases};

/// The function at a repository's scope, between AWS in memory and the stand-in of GitHub.
pub(crate) fn deps(aws: &Aws, server: &Server, more: &[(&str, &str)]) -> Deps {
    let app = App::new(&server.app_id().to_string(), APP_PRIVATE_KEY).unwrap();
    let settings = [
        ("RUNNER_SCOPE", "repository"),
        ("FAMILY_PREFIX", "fargate-runners-"),
    ];
    let settings = Settings::from_pairs(settings.iter().chain(more).copied());
    Deps {
        fleet: aws.fleet(),
        github: GitHub::with_patience(server.url().parse().unwrap(), app, Patience::NONE).unwrap(),
        config: Config::from_settings(&settings).unwrap(),
        releases: Releases::default(),
    }
}
