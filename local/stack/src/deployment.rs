//! The CDK app, deployed into the engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use github_standin::{Hook, Server, WebhookTarget};
use serde_json::Value;
use tooling::{Architecture, Checkout, Step, run};

use crate::engine::{cdk, credentials};
use crate::observer::Observer;
use crate::{Aws, Engine};

/// A deployment's configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Prefix of all names; one engine holds one deployment per prefix.
    pub prefix: String,
    /// The deployment's id in runner names.
    pub id: String,
    /// More configuration of the CDK app.
    pub context: Vec<(String, String)>,
    /// Whose webhook reaches it: the App's, unless another deployment has that one.
    hook: Hook,
    /// The directory below which its template is put, where that is not the checkout's.
    directory: Option<PathBuf>,
}

impl Plan {
    /// Uses the app's defaults.
    pub fn new(prefix: &str, id: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            id: id.to_owned(),
            context: Vec::new(),
            hook: Hook::App,
            directory: None,
        }
    }

    /// Is told of jobs by organizations' webhooks, beside a deployment that the App's webhook tells.
    #[must_use]
    pub fn told_by_organizations(mut self) -> Self {
        self.hook = Hook::Organization;
        self
    }

    /// Puts its template below another directory, so that several engines can hold one prefix.
    #[must_use]
    pub fn below(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Directory of its template.
    fn assembly(&self, checkout: &Checkout) -> PathBuf {
        let directory = self.directory.clone().unwrap_or_else(|| checkout.local());
        directory.join("cdk").join(&self.prefix)
    }

    /// Adds a configuration value.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.context.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A deployment in the engine, with its GitHub.
#[derive(Debug)]
pub struct Deployment {
    pub github: Arc<Server>,
    /// The stack's outputs, by name.
    pub outputs: BTreeMap<String, String>,
    prefix: String,
    assembly: PathBuf,
    aws: Aws,
    tasks: PathBuf,
}

/// Synthesizes a plan for the GitHub at this URL; returns the template's directory. Needs no
/// engine.
pub fn synthesize(
    checkout: &Checkout,
    step: &Step,
    plan: &Plan,
    github: &str,
) -> anyhow::Result<PathBuf> {
    let directory = plan.assembly(checkout);
    let architecture = Architecture::here();
    let mut context = vec![
        ("prefix", plan.prefix.clone()),
        ("deployment", plan.id.clone()),
        ("architecture", architecture.to_string()),
        ("runnerArchitecture", architecture.label().to_owned()),
        (
            "handlersDirectory",
            checkout.handlers().display().to_string(),
        ),
        ("githubApiUrl", github.to_owned()),
        ("image", "local/ubuntu-runner".to_owned()),
        ("allowedOwners", "*".to_owned()),
    ];
    if plan.context.iter().any(|(key, _)| key == "runners") {
        context.retain(|(key, _)| *key != "runnerArchitecture");
    }
    context.extend(
        plan.context
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone())),
    );
    let mut synth = Command::new(checkout.path("cdk/node_modules/.bin/cdk"));
    synth
        .args(["synth", "--quiet", "--output"])
        .arg(&directory)
        .env("CDK_DISABLE_CLI_TELEMETRY", "1")
        // It takes half of the time, and `cargo xtask test` validates the same templates.
        .env("CDK_VALIDATION", "false")
        .current_dir(checkout.path("cdk"));
    for (key, value) in context {
        synth.arg("-c").arg(format!("{key}={value}"));
    }
    run(step, &mut synth)?;
    Ok(directory)
}

/// Deploys the synthesized template of a prefix and returns the stack's outputs.
fn deploy(
    checkout: &Checkout,
    step: &Step,
    engine: &Engine,
    prefix: &str,
    assembly: &Path,
) -> anyhow::Result<BTreeMap<String, String>> {
    let said = assembly.join("outputs.json");
    let mut deploy = cdk(checkout, engine.endpoint());
    deploy
        .args([
            "deploy",
            "--all",
            "--require-approval",
            "never",
            "--progress",
            "events",
        ])
        .arg("--app")
        .arg(assembly)
        .arg("--outputs-file")
        .arg(&said)
        .current_dir(engine.directory());
    run(step, &mut deploy)?;
    let text = fs::read_to_string(&said).with_context(|| format!("reading {}", said.display()))?;
    let mut stacks: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text)?;
    stacks
        .remove(prefix)
        .with_context(|| format!("{} has no outputs of {prefix}", said.display()))
}

impl Deployment {
    /// Deploys the synthesized template and sets the stand-in's webhook URL. Writes no secret.
    pub fn deploy(
        checkout: &Checkout,
        step: &Step,
        engine: &Engine,
        plan: &Plan,
        github: Arc<Server>,
    ) -> anyhow::Result<Self> {
        let assembly = plan.assembly(checkout);
        let outputs = deploy(checkout, step, engine, &plan.prefix, &assembly)?;
        Self::deployed(engine, plan, assembly, outputs, github)
    }

    /// A deployment that somebody else deployed from an assembly; `outputs` are its stack's. Sets the
    /// stand-in's webhook URL.
    pub fn deployed(
        engine: &Engine,
        plan: &Plan,
        assembly: PathBuf,
        outputs: BTreeMap<String, String>,
        github: Arc<Server>,
    ) -> anyhow::Result<Self> {
        let deployment = Self {
            github,
            outputs,
            prefix: plan.prefix.clone(),
            assembly,
            aws: engine.aws()?,
            tasks: engine.directory().join("logs"),
        };
        let target = Some(deployment.webhook()?);
        match plan.hook {
            Hook::Organization => deployment.github.set_organization_webhook(target),
            Hook::App | Hook::Repository => deployment.github.set_webhook(target),
        }
        Ok(deployment)
    }

    /// Deploys a newly synthesized template over the existing stack.
    pub fn update(&self, checkout: &Checkout, step: &Step, engine: &Engine) -> anyhow::Result<()> {
        deploy(checkout, step, engine, &self.prefix, &self.assembly).map(drop)
    }

    /// An output of the stack.
    pub fn output(&self, name: &str) -> anyhow::Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("the stack has no output {name}"))
    }

    /// The function URL, and the host name that selects it in the engine.
    pub fn webhook(&self) -> anyhow::Result<WebhookTarget> {
        let url = self.output("WebhookUrl")?;
        let host = url.split("://").nth(1).unwrap_or(url).split('/').next();
        Ok(WebhookTarget {
            url: format!("{}/", self.aws.endpoint()),
            host: host.map(str::to_owned),
        })
    }

    /// The name of one of the App's parameters.
    pub fn secret_name(&self, name: &str) -> String {
        format!("/{}/github/{name}", self.prefix)
    }

    /// Writes the stand-in's App id, key and webhook secret to the deployment's parameters.
    pub async fn write_secrets(&self) -> anyhow::Result<()> {
        let app_id = self.github.app_id().to_string();
        let webhook_secret = self.github.webhook_secret();
        let secrets = [
            ("app-id", app_id.as_str()),
            ("private-key", github_standin::APP_PRIVATE_KEY),
            ("webhook-secret", &webhook_secret),
        ];
        for (name, value) in secrets {
            self.aws.put_secret(&self.secret_name(name), value).await?;
        }
        Ok(())
    }

    /// Invokes one of the deployment's functions, as a schedule or an event would, and returns its
    /// result.
    pub async fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<Value> {
        let url = format!(
            "{}/2015-03-31/functions/{}-{function}/invocations",
            self.aws.endpoint(),
            self.prefix
        );
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.post(url).body(event.to_string()).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// Deletes the stack.
    pub fn destroy(&self, checkout: &Checkout, step: &Step, engine: &Engine) -> anyhow::Result<()> {
        let mut destroy = cdk(checkout, engine.endpoint());
        destroy
            .args([
                "destroy",
                "--all",
                "--force",
                "--progress",
                "events",
                "--app",
            ])
            .arg(&self.assembly)
            .current_dir(engine.directory());
        run(step, &mut destroy).map(drop)
    }

    /// Runs `fargate-runners setup` for the deployment, by its prefix: its stack may be gone.
    pub fn setup(
        &self,
        checkout: &Checkout,
        step: &Step,
        engine: &Engine,
        arguments: &[&str],
    ) -> anyhow::Result<String> {
        let mut setup = Command::new(checkout.program("fargate-runners"));
        credentials(&mut setup, engine.endpoint());
        setup
            .args(["setup", "--prefix", &self.prefix, "--github-api-url"])
            .arg(self.github.url())
            .args(arguments);
        run(step, &mut setup)
    }

    /// An observer of the deployment.
    pub fn observer(&self) -> anyhow::Result<Observer> {
        Ok(Observer {
            aws: self.aws.clone(),
            github: self.github.url().to_owned(),
            machine: self.output("StateMachineArn")?.to_owned(),
            cluster: self.output("ClusterName")?.to_owned(),
            prefix: self.prefix.clone(),
            tasks: self.tasks.clone(),
        })
    }
}
