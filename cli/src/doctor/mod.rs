//! `doctor`: whether a deployment can serve jobs, and what mends what cannot.
//!
//! Everything is asked at once, at most [`AWS_CALLS`] calls at AWS and [`GITHUB_CALLS`] at GitHub, the one
//! that found the stack included. What was found is judged by pure functions. What could not be looked at
//! is a note, never a fault.

mod alarms;
mod deliveries;
mod measured;
mod quotas;
mod versions;

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::{join, join3, join4};
use github::{Account, App, Installed, Patience};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::finding::{Finding, well};
use crate::json_api::JsonApi;
use crate::setup::policy::{Audience, Policy, Scope, audiences, policy_parameter, same};
use crate::setup::secrets::{Change, Name, Secrets, Shown, Stored};
use crate::setup::{self, Group};
use crate::{Connection, Deployment};

/// Calls at AWS.
pub const AWS_CALLS: u32 = 15;
/// Calls at GitHub.
pub const GITHUB_CALLS: u32 = 4;

/// What no job depends on is not waited for longer.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(1_200);

/// Executions that failed are looked for this far back.
const RECENT: Duration = Duration::hours(1);
/// Executions of a kind that are counted.
const EXECUTIONS: usize = 100;

/// The clients that it asks.
#[derive(Clone, Debug)]
pub struct Clients {
    pub executions: aws::executions::Executions,
    pub ssm: aws_sdk_ssm::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub api: JsonApi,
}

impl Clients {
    pub fn new(connection: &Connection, deployment: &Deployment) -> Self {
        let config = &connection.config;
        let machine = deployment.machine.clone();
        Self {
            executions: aws::executions::Executions::new(config, machine),
            ssm: aws_sdk_ssm::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            api: JsonApi::new(config),
        }
    }
}

/// What it found, by part of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    pub name: &'static str,
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is to be mended.
    pub fn well(&self) -> bool {
        self.parts.iter().all(|part| well(&part.findings))
    }

    /// All findings, in order.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.parts.iter().flat_map(|part| &part.findings)
    }

    fn add(&mut self, name: &'static str, findings: Vec<Finding>) {
        if !findings.is_empty() {
            self.parts.push(Part { name, findings });
        }
    }
}

/// What the deployment publishes in Parameter Store.
struct Published {
    names: [String; 3],
    /// The values, or why they cannot be looked at.
    values: Result<BTreeMap<String, String>, String>,
}

impl Published {
    async fn read(secrets: &Secrets, prefix: &str) -> Self {
        let names = [
            policy_parameter(prefix),
            catalogue::parameter(prefix),
            crate::pause::parameter(prefix),
        ];
        let values = match secrets.published(&names).await {
            Ok(Some(values)) => Ok(values),
            Ok(None) => Err("these credentials lack ssm:GetParameters".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Self { names, values }
    }

    fn text(&self, index: usize) -> Option<&str> {
        let values = self.values.as_ref().ok()?;
        values.get(&self.names[index]).map(String::as_str)
    }

    fn policy(&self, prefix: &str) -> Option<Result<Policy, crate::Error>> {
        self.text(0).map(|text| Policy::parse(prefix, text))
    }
}

/// Looks at everything.
pub async fn examine(clients: &Clients, deployment: &Deployment, now: OffsetDateTime) -> Report {
    let prefix = &deployment.prefix;
    let at_aws = async {
        let (function, executions) = (
            check_function(clients, &deployment.verify, now),
            check_executions(clients, now),
        );
        let measured = measured::read(&clients.logs, prefix, now);
        let dead = check_dead_letters(clients, deployment);
        Box::pin(join(join(measured, dead), join(function, executions))).await
    };
    let at_github = look_at_github(clients, deployment, now);
    let ringing = in_time(alarms::CALL, alarms::read(&clients.api, prefix));
    let quotas = quotas::read(&clients.api, &clients.lambda, now);
    let (((measured, dead), (function, executions)), (published, stored, github), ringing, quotas) =
        Box::pin(join4(at_aws, at_github, ringing, quotas)).await;

    let mut report = Report::default();
    let deployed = deployment.version.as_deref();
    let mut versions = vec![versions::judge(deployed, versions::OURS)];
    versions.extend(versions::judge_stack(&deployment.stack, &deployment.status));
    report.add("version", versions);
    report.add("secrets", stored);
    let kinds = audiences(published.text(1));
    let policy = published.policy(prefix);
    let mut at_github = match (&policy, &published.values) {
        (Some(Ok(_)), _) => Vec::new(),
        (Some(Err(error)), _) => vec![Finding::bad(error.to_string(), "cdk deploy")],
        (None, Err(why)) => vec![Finding::note(format!(
            "whose jobs are run, the runners and a pause cannot be looked at: {why}"
        ))],
        (None, Ok(_)) => vec![Finding::bad(
            format!(
                "{} is not in Parameter Store, so it is not known whose jobs are run",
                published.names[0]
            ),
            "cdk deploy, which writes it",
        )],
    };
    let policy = policy.and_then(Result::ok);
    at_github.extend(github.judge(deployment, policy.as_ref(), kinds.as_deref(), now));
    report.add("GitHub", at_github);
    if published.values.is_ok() {
        report.add("runners", check_kinds(published.text(1), prefix, now));
    }
    let mut jobs = crate::pause::finding(published.text(2))
        .into_iter()
        .collect::<Vec<_>>();
    jobs.push(function);
    jobs.extend(executions);
    jobs.push(dead);
    report.add("jobs", jobs);
    report.add("images and stock", measured::judge(measured, deployment));
    report.add("alarms", alarms::judge(ringing, deployment, now));
    report.add("quotas", quotas::judge(&quotas));
    report
}

/// The answer of a call on which no job depends, if it comes in time: with it, `doctor` ends within two
/// seconds.
async fn in_time<T>(
    call: &'static str,
    answer: impl Future<Output = Result<T, aws::Error>>,
) -> Result<T, aws::Error> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.unwrap_or_else(|_late| Err(aws::Error::timed_out(call, "this region")))
}

/// The function that receives webhooks.
async fn check_function(clients: &Clients, name: &str, now: OffsetDateTime) -> Finding {
    let found = clients
        .lambda
        .get_function_configuration()
        .function_name(name)
        .send()
        .await;
    match found {
        Ok(found) => {
            let modified = found.last_modified();
            let ago = modified.map(|at| format!(", {}", versions::deployed_ago(at, now)));
            Finding::good(format!(
                "function {name} is there{}",
                ago.unwrap_or_default()
            ))
        }
        Err(error) => {
            let error = aws::Error::new("lambda:GetFunctionConfiguration", name, &error);
            if error.kind() == aws::ErrorKind::NotFound {
                Finding::bad(format!("function {name} is gone"), "cdk deploy")
            } else {
                Finding::note(format!("function {name} cannot be looked at: {error}"))
            }
        }
    }
}

/// Events that failed for good.
async fn check_dead_letters(clients: &Clients, deployment: &Deployment) -> Finding {
    let Some(queue) = &deployment.dead_letters else {
        return Finding::note(
            "dead letters are not looked at: the stack has no output DeadLetterQueue yet (cdk deploy)",
        );
    };
    let found = clients
        .sqs
        .get_queue_attributes()
        .queue_url(queue)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await;
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let error = aws::Error::new("sqs:GetQueueAttributes", queue, &error);
            return Finding::note(format!("dead letters cannot be counted: {error}"));
        }
    };
    let attributes = found.attributes();
    let count =
        attributes.and_then(|all| all.get(&QueueAttributeName::ApproximateNumberOfMessages));
    match count.map_or("0", String::as_str) {
        "0" => Finding::good("no dead letters"),
        count => Finding::bad(
            format!("{count} dead letters: events that failed for good"),
            format!(
                "aws sqs receive-message --queue-url {queue}; mend the cause, then aws sqs purge-queue --queue-url {queue}"
            ),
        ),
    }
}

/// What runs, and what failed lately.
async fn check_executions(clients: &Clients, now: OffsetDateTime) -> Vec<Finding> {
    let (running, failed) = join(
        clients
            .executions
            .list(decisions::Status::Running, EXECUTIONS),
        clients
            .executions
            .list(decisions::Status::Failed, EXECUTIONS),
    )
    .await;
    let mut findings = vec![match running {
        Ok(running) if running.len() >= EXECUTIONS => {
            Finding::good(format!("{EXECUTIONS} executions or more are running"))
        }
        Ok(running) => Finding::good(format!("{} executions are running", running.len())),
        Err(error) => Finding::note(format!("executions cannot be listed: {error}")),
    }];
    let Ok(failed) = failed else {
        return findings;
    };
    let recent = failed
        .iter()
        .filter(|one| one.ended_at.unwrap_or(one.started_at) > now - RECENT);
    let recent: Vec<_> = recent.collect();
    if let Some(last) = recent.first() {
        let count = match recent.len() {
            1 => "1 execution".to_owned(),
            count => format!("{count} executions"),
        };
        findings.push(Finding::bad(
            format!("{count} failed in the last hour, at last {}", last.name),
            format!("fargate-runners why {}", last.name),
        ));
    }
    findings
}

/// The kinds of runners that `sweep` published.
fn check_kinds(text: Option<&str>, prefix: &str, now: OffsetDateTime) -> Vec<Finding> {
    let Some(text) = text else {
        return vec![Finding::note(
            "the catalogue of runners is not published yet: the sweep does it every five minutes",
        )];
    };
    let catalogue = match catalogue::Catalogue::decode(text) {
        Ok(catalogue) => catalogue,
        Err(error) => {
            return vec![Finding::bad(
                format!("{error}, so jobs are matched slowly"),
                format!(
                    "wait for the next sweep; if it stays: aws logs tail /aws/lambda/{prefix}-sweep"
                ),
            )];
        }
    };
    let age = now - catalogue.read_at;
    if catalogue.offers.is_empty() {
        return vec![Finding::bad(
            "no task definition offers labels, so no job gets a runner",
            "add a runner to `runners` and deploy; or tag one with GH:labels and fargate-runners:prefix",
        )];
    }
    let mut findings = Vec::new();
    if age > Duration::minutes(30) {
        findings.push(Finding::bad(
            format!(
                "the sweep published the runners {} ago, and should every five minutes",
                crate::why::span(age)
            ),
            format!("aws logs tail /aws/lambda/{prefix}-sweep --since 1h"),
        ));
    }
    let kinds = catalogue
        .offers
        .iter()
        .map(|offer| offer.definition.family.as_str());
    let kinds: Vec<_> = kinds.collect();
    findings.push(Finding::good(format!(
        "{} kinds of runners: {}",
        kinds.len(),
        kinds.join(", ")
    )));
    findings
}

/// What GitHub said.
#[derive(Default)]
struct AtGitHub {
    /// Why it was not asked, or did not answer.
    silent: Option<Finding>,
    installations: Vec<Installed>,
    hook: Option<github::Hook>,
    page: Option<String>,
    deliveries: Option<Result<deliveries::LastHour, github::Error>>,
    groups: Option<(Account, Result<Vec<github::RunnerGroup>, github::Error>)>,
}

/// Reads all parameters at once, and asks GitHub with the App's secrets.
async fn look_at_github(
    clients: &Clients,
    deployment: &Deployment,
    now: OffsetDateTime,
) -> (Published, Vec<Finding>, AtGitHub) {
    let prefix = &deployment.prefix;
    let secrets = Secrets::new(clients.ssm.clone(), prefix, None);
    let published = Published::read(&secrets, prefix);
    let (published, stored, shown) = join3(published, secrets.read(), secrets.show()).await;
    let scope = match published.policy(prefix) {
        Some(Ok(policy)) => policy.scope,
        _ => Scope::Repository,
    };
    let (findings, seen) = Box::pin(with_secrets(
        deployment, &secrets, stored, shown, scope, now,
    ))
    .await;
    (published, findings, seen)
}

async fn with_secrets(
    deployment: &Deployment,
    secrets: &Secrets,
    stored: Result<Stored, crate::Error>,
    shown: Result<Shown, crate::Error>,
    scope: Scope,
    now: OffsetDateTime,
) -> (Vec<Finding>, AtGitHub) {
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            let note = Finding::note(format!("the App's secrets cannot be looked at: {error}"));
            return (vec![note], AtGitHub::default());
        }
    };
    let change = match &shown {
        Ok(shown) => secrets.change(&stored, shown),
        Err(_) => Change::Unknown,
    };
    let findings = check_stored(secrets, &stored, change);
    let values = (
        stored.values.get(&Name::AppId),
        stored.values.get(&Name::PrivateKey),
    );
    let (Some(id), Some(key)) = values else {
        let silent = (stored.there.len() == Name::ALL.len()).then(|| {
            Finding::note("GitHub is not asked: only the functions may decrypt the App's secrets; add yourself to the deployment's secretsReaders")
        });
        return (
            findings,
            AtGitHub {
                silent,
                ..AtGitHub::default()
            },
        );
    };
    let app = App::new(id.expose(), key.expose());
    let asked = match app {
        Ok(app) => Box::pin(ask(deployment, app, scope, now)).await,
        Err(error) => AtGitHub {
            silent: Some(Finding::bad(
                error.to_string(),
                "fargate-runners setup --app-id ID --private-key FILE",
            )),
            ..AtGitHub::default()
        },
    };
    (findings, asked)
}

fn check_stored(secrets: &Secrets, stored: &Stored, change: Change) -> Vec<Finding> {
    let missing = Name::ALL.into_iter().filter(|name| !stored.has(*name));
    let missing: Vec<_> = missing.map(|name| secrets.parameter(name)).collect();
    if !missing.is_empty() {
        let half = if stored.there.is_empty() {
            ""
        } else {
            "; the others are there"
        };
        return vec![Finding::bad(
            format!("{} not in Parameter Store{half}", missing.join(", ")),
            "fargate-runners setup",
        )];
    }
    let mut findings = vec![Finding::good(
        "the App's id, key and webhook secret are in Parameter Store",
    )];
    if let Change::Unsettled(_) = change {
        findings.push(setup::unsettled());
    }
    findings
}

/// Asks GitHub, within the bound.
async fn ask(deployment: &Deployment, app: App, scope: Scope, now: OffsetDateTime) -> AtGitHub {
    let mut seen = AtGitHub::default();
    let client = crate::connection::github(deployment.github.clone(), app, Patience::NONE);
    let github = match client {
        Ok(github) => github,
        Err(error) => {
            seen.silent = Some(Finding::note(error.to_string()));
            return seen;
        }
    };
    github.allow(GITHUB_CALLS);
    // At repository scope, the bound has room for the webhook whatever the others answer.
    let hook = async {
        match scope {
            Scope::Repository => github.hook().await.ok(),
            Scope::Organization => None,
        }
    };
    let (installations, deliveries, hook) =
        join3(github.installed_at(1), github.deliveries(None), hook).await;
    seen.hook = hook;
    match installations {
        Ok(page) => seen.installations = page.items,
        Err(error) => {
            seen.silent = Some(silent(&error));
            return seen;
        }
    }
    let since = now - RECENT;
    seen.deliveries = Some(deliveries.map(|page| {
        let of_page = page.deliveries.len();
        let recent = page.deliveries.into_iter();
        let recent: Vec<_> = recent.filter(|one| one.delivered_at > since).collect();
        let more = page.next.is_some() && recent.len() == of_page;
        deliveries::LastHour { recent, more }
    }));
    // What is left of the bound: the groups of an organization, or the webhook.
    let organization = seen.installations.iter().find(|one| {
        let at_organization = one.target_type == "Organization" && one.suspended_at.is_none();
        scope == Scope::Organization && at_organization
    });
    if seen.installations.is_empty() {
        seen.page = github.profile().await.ok().map(|profile| profile.html_url);
    } else if let Some(Installed {
        id,
        account: Some(account),
        ..
    }) = organization
    {
        let groups = github
            .installation(*id)
            .runner_groups(&account.name, 1)
            .await;
        seen.groups = Some((account.clone(), groups.map(|page| page.items)));
    } else if scope == Scope::Organization {
        seen.hook = github.hook().await.ok();
    }
    seen
}

fn silent(error: &github::Error) -> Finding {
    match error {
        github::Error::KeyRefused { .. } => Finding::bad(
            error.to_string(),
            "fargate-runners setup --app-id ID --private-key FILE",
        ),
        github::Error::RateLimited { .. } => Finding::note(error.to_string()),
        _ => Finding::bad(
            error.to_string(),
            "look at GitHub's status page, and at the network",
        ),
    }
}

impl AtGitHub {
    fn judge(
        self,
        deployment: &Deployment,
        policy: Option<&Policy>,
        kinds: Option<&[Audience]>,
        now: OffsetDateTime,
    ) -> Vec<Finding> {
        if let Some(silent) = self.silent {
            return vec![silent];
        }
        if self.installations.is_empty() && self.deliveries.is_none() {
            return Vec::new();
        }
        let scope = policy.map_or(Scope::Repository, |policy| policy.scope);
        let page = self
            .page
            .unwrap_or_else(|| format!("{}/settings/apps", deployment.github.web()));
        let mut findings = setup::check_installations(&page, &self.installations, scope);
        if let Some(policy) = policy {
            findings.extend(setup::strangers(&self.installations, policy));
        }
        if let Some(quiet) = quiet_owners(&self.installations, policy) {
            findings.push(quiet);
        }
        if let Some(hook) = &self.hook {
            findings.extend(setup::check_hook(hook, &deployment.webhook_url));
        }
        if let (Some((account, groups)), Some(policy)) = (&self.groups, policy)
            && scope == Scope::Organization
        {
            let every = [setup::every_kind()];
            let kinds = kinds.unwrap_or(&every);
            match groups {
                Ok(groups) => {
                    let groups: Vec<_> = groups
                        .iter()
                        .cloned()
                        .map(|group| Group {
                            group,
                            repositories: None,
                        })
                        .collect();
                    findings.extend(setup::check_groups(policy, kinds, &account.name, &groups));
                }
                Err(error) => findings.push(setup::unreadable_groups(&account.name, &page, error)),
            }
        }
        match self.deliveries {
            Some(Ok(deliveries)) => {
                findings.extend(deliveries::judge(&deliveries, deployment, now));
            }
            Some(Err(error)) => findings.push(Finding::note(format!(
                "deliveries cannot be listed: {error}"
            ))),
            None => {}
        }
        findings
    }
}

/// Accounts whose jobs are run, but where the App is not installed.
fn quiet_owners(installations: &[Installed], policy: Option<&Policy>) -> Option<Finding> {
    let accounts = policy?.accounts();
    let installed = |name: &str| {
        let accounts = installations.iter().filter_map(|one| one.account.as_ref());
        accounts
            .into_iter()
            .any(|account| same(&account.name, name))
    };
    // An owner given with an id may be called something else by now.
    let by_id = policy?.owners().iter().any(|owner| owner.contains(':'));
    let missing: Vec<_> = accounts
        .into_iter()
        .filter(|name| !installed(name))
        .collect();
    if missing.is_empty() || by_id || installations.is_empty() {
        return None;
    }
    Some(Finding::bad(
        format!(
            "the App is not installed on {}, whose jobs are run here",
            missing.join(", ")
        ),
        "have them install it, or take them out of allowedOwners and deploy",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_gets_no_answer_is_not_waited_for() {
        let begun = tokio::time::Instant::now();
        let error = in_time::<()>("cloudwatch:DescribeAlarms", std::future::pending())
            .await
            .unwrap_err();
        assert_eq!(begun.elapsed(), PATIENCE);
        let told = error.to_string();
        assert!(told.contains("cloudwatch:DescribeAlarms"), "{told}");
    }
}
