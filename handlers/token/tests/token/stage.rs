//! A model of GitHub, a mocked SSM, and the handler between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ErrorMetadata;
use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use aws_sdk_ssm::operation::put_parameter::{
    PutParameterError, PutParameterInput, PutParameterOutput,
};
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use github::{GitHub, Patience};
use github_standin::{APP_PRIVATE_KEY, Config, OwnerType, Server};
use protocol::Registered;
use protocol::Registration;
use runtime::settings::Settings;
use serde_json::{Value, json};
use token::{Deps, Error, handle};

pub(crate) const RUNNER: &str = "fr-hello-4242";
pub(crate) const PARAMETER: &str =
    "/fargate-runners/runners/fr-hello-4242/0123456789abcdef0123456789abcdef";

pub(crate) type Puts = Arc<Mutex<Vec<PutParameterInput>>>;

/// SSM as one of the tests needs it.
pub(crate) enum Ssm {
    Works,
    /// An earlier try has written the parameter.
    Holds,
    Refuses(&'static str),
}

pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) deps: Deps,
    puts: Puts,
}

impl Stage {
    /// GitHub with one private repository of an organization, and the handler at repository scope.
    pub(crate) async fn new() -> Self {
        Self::with(&[], &Ssm::Works).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)], ssm: &Ssm) -> Self {
        let server = Server::start(Config::default()).await.unwrap();
        server
            .add_repository("octo/hello", OwnerType::Organization, true)
            .unwrap();
        let puts = Puts::default();
        let rules = rules(ssm, &puts);
        let deps = deps(&server, variables, &rules.iter().collect::<Vec<_>>());
        Self { server, deps, puts }
    }

    pub(crate) fn installation(&self) -> u64 {
        self.server.installation("octo").unwrap()
    }

    /// The handler's answer to the order as the webhook of the App gives it.
    pub(crate) async fn run(&self) -> Result<Registered, Error> {
        handle(&self.deps, payload(Some(self.installation()))).await
    }

    pub(crate) fn puts(&self) -> Vec<PutParameterInput> {
        self.puts.lock().unwrap().clone()
    }

    /// What was written, as it lies in SSM.
    pub(crate) fn written(&self) -> Vec<String> {
        self.puts()
            .iter()
            .map(|put| put.value().unwrap().to_owned())
            .collect()
    }

    /// What was written last, as the agent reads it.
    pub(crate) fn registration(&self) -> Registration {
        self.puts().pop().unwrap().value().unwrap().parse().unwrap()
    }

    /// The calls that GitHub saw since it was last asked, by route.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        let counts = self.server.request_counts();
        self.server.clear_requests();
        counts
    }
}

pub(crate) fn deps(server: &Server, variables: &[(&str, &str)], rules: &[&Rule]) -> Deps {
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules, |config| config
        .retry_config(aws_sdk_ssm::config::retry::RetryConfig::disabled()));
    let settings = Settings::from_pairs(
        [
            ("DEPLOYMENT", "fr"),
            ("PREFIX", "fargate-runners"),
            ("GITHUB_API_URL", server.url()),
        ]
        .into_iter()
        .chain(variables.iter().copied()),
    );
    Deps {
        config: token::Config::from_settings(&settings).unwrap(),
        github: GitHub::with_patience(
            server.url().parse().unwrap(),
            github::secrets::AppSecrets::new(ssm.clone(), "fargate-runners"),
            Patience::NONE,
        )
        .unwrap(),
        ssm,
        stock: None,
        capped: None,
    }
}

/// The App's secrets, and what becomes of a registration.
fn rules(ssm: &Ssm, puts: &Puts) -> Vec<Rule> {
    let puts = puts.clone();
    let written = move |request: &PutParameterInput| {
        puts.lock().unwrap().push(request.clone());
        PutParameterOutput::builder().build()
    };
    let secrets = secrets("1234", || APP_PRIVATE_KEY);
    match ssm {
        Ssm::Works => vec![
            secrets,
            mock!(Client::put_parameter).then_compute_output(written),
        ],
        Ssm::Holds => vec![
            secrets,
            mock!(Client::put_parameter)
                .match_requests(|request| request.overwrite() == Some(true))
                .then_compute_output(written),
            mock!(Client::put_parameter).then_error(|| refusal("ParameterAlreadyExists")),
        ],
        Ssm::Refuses(code) => {
            let code = *code;
            vec![
                secrets,
                mock!(Client::put_parameter).then_error(move || refusal(code)),
            ]
        }
    }
}

/// The App's secrets; `private_key` is asked at each read.
pub(crate) fn secrets(
    app_id: &'static str,
    private_key: impl Fn() -> &'static str + Send + Sync + 'static,
) -> Rule {
    let parameter = |name: &str, value: &str| {
        Parameter::builder()
            .name(format!("/fargate-runners/github/{name}"))
            .value(value)
            .build()
    };
    mock!(Client::get_parameters).then_compute_output(move |_| {
        GetParametersOutput::builder()
            .parameters(parameter("app-id", app_id))
            .parameters(parameter("private-key", private_key()))
            .build()
    })
}

fn refusal(code: &str) -> PutParameterError {
    PutParameterError::generic(ErrorMetadata::builder().code(code).message("no").build())
}

/// The handler's payload: a job of octo/hello and its planned runner.
pub(crate) fn payload(installation: Option<u64>) -> Value {
    json!({
        "order": {
            "job": {
                "id": 4242, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
                "repository": "octo/hello", "ownerType": "Organization", "private": true,
                "labels": ["linux", "x64"], "installationId": installation,
                "queuedAt": "2026-01-01T00:00:00Z"
            },
            "recheck": false,
            "notBefore": null
        },
        "runner": { "name": RUNNER, "parameter": PARAMETER, "labels": ["linux", "x64"] },
        "attempt": null
    })
}

/// The payload for a real job, of which the order is not sure.
pub(crate) fn doubted(job: u64, installation: u64) -> Value {
    let mut payload = payload(Some(installation));
    payload["order"]["job"]["id"] = json!(job);
    payload["order"]["recheck"] = json!(true);
    payload
}

pub(crate) async fn earlier_runner(github: &GitHub, installation: u64) -> github::JitRunner {
    let scope = github::Scope::Repository("octo/hello".parse().unwrap());
    let request = github::JitRequest {
        name: RUNNER.to_owned(),
        runner_group_id: 1,
        labels: vec![
            "self-hosted".to_owned(),
            "linux".to_owned(),
            "x64".to_owned(),
        ],
        work_folder: "_work".to_owned(),
    };
    github
        .installation(installation)
        .jit_config(&scope, &request)
        .await
        .unwrap()
}
