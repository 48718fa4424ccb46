//! `setup`: the GitHub App, its secrets in Parameter Store, and whether GitHub's settings fit.

pub mod app;
pub mod audience;
pub mod manifest;
pub mod policy;
pub mod rotate;
pub mod secrets;
pub mod terminal;

use std::path::PathBuf;
use std::time::Duration;

use github::{
    ApiUrl, App, AppProfile, GitHub, GroupRepository, Installed, Nobody, Page, Patience,
    RunnerGroup,
};
use protocol::Secret;
use serde::Serialize;

use crate::Error;
use crate::finding::{Finding, well};

pub use app::{check_hook, check_installations, check_profile};
pub use audience::{Group, check_groups, group_names, strangers};
use manifest::Wish;
use policy::{Audience, Policy, Scope, audiences, policy_parameter};
pub use rotate::SECRET_TTL;
use secrets::{Change, Name, Secrets, Shown, Stored, joined, new_secret};
pub use terminal::{Console, Terminal};

/// Pages of a list that are read. Nobody reads findings about more.
const PAGES: u32 = 20;
/// Between two looks whether the App is installed.
const INSTALL_LOOK: Duration = Duration::from_secs(3);

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub app_id: Option<String>,
    /// Its private key; `-` is standard input.
    pub private_key: Option<PathBuf>,
    pub webhook_secret_file: Option<PathBuf>,
    /// Where runners are registered; as the deployment says, unless given.
    pub scope: Option<Scope>,
    pub organization: Option<String>,
    pub name: Option<String>,
    pub check_runs: bool,
    pub reruns: bool,
    pub port: u16,
    /// How long to wait for the installation of a new App.
    pub install_wait: Duration,
    pub webhook: Webhook,
    pub task: Task,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// What is missing, and the checks.
    #[default]
    SetUp,
    /// The checks alone: nothing is written.
    Check,
    RotateWebhookSecret,
    /// Deletes everything of the deployment in Parameter Store.
    Remove,
}

/// Whether URL and secret are set at GitHub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Webhook {
    /// If the secret is new.
    #[default]
    IfNew,
    Always,
    Never,
}

/// Where it is wanted.
#[derive(Clone, Debug)]
pub struct Place {
    pub prefix: String,
    pub ssm: aws_sdk_ssm::Client,
    /// A key of one's own for the secrets.
    pub kms_key: Option<String>,
    pub github: ApiUrl,
    /// Nothing before the stack is deployed.
    pub webhook_url: Option<String>,
    pub patience: Patience,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Parameters that were written.
    pub written: Vec<String>,
    /// Parameters that were deleted.
    pub deleted: Vec<String>,
    /// The App's page, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
}

impl Report {
    /// Whether nothing is to be mended.
    pub fn well(&self) -> bool {
        well(&self.findings)
    }
}

/// One run.
struct Run<'a, T> {
    options: &'a Options,
    place: &'a Place,
    secrets: Secrets,
    terminal: &'a T,
    report: Report,
}

/// Does what the options say.
pub async fn run(
    options: &Options,
    place: &Place,
    terminal: &impl Terminal,
) -> Result<Report, Error> {
    let mut run = Run {
        options,
        place,
        secrets: Secrets::new(place.ssm.clone(), &place.prefix, place.kms_key.clone()),
        terminal,
        report: Report::default(),
    };
    if options.task == Task::Remove {
        run.remove().await?;
    } else {
        Box::pin(run.set_up()).await?;
    }
    Ok(run.report)
}

/// Secrets that are to be written.
type New = Vec<(Name, Secret)>;

impl<T: Terminal> Run<'_, T> {
    async fn remove(&mut self) -> Result<(), Error> {
        let names = self.secrets.remove_all().await?;
        for name in &names {
            self.terminal.say(&format!("deleted {name}"));
        }
        if names.is_empty() {
            let prefix = &self.place.prefix;
            self.terminal
                .say(&format!("nothing is below /{prefix}/ in Parameter Store"));
        }
        self.report.deleted = names;
        Ok(())
    }

    async fn set_up(&mut self) -> Result<(), Error> {
        let stored = self.secrets.read().await?;
        let policy = self.deployment().await?;
        let options = self.options;
        let is_there = stored.has(Name::AppId) || stored.has(Name::PrivateKey);
        let is_given = options.app_id.is_some() || options.private_key.is_some();
        if !is_there && !is_given && options.task == Task::SetUp {
            return Box::pin(self.make(&stored, &policy)).await;
        }
        let new = if options.task == Task::SetUp {
            self.collect(&stored).await?
        } else {
            New::new()
        };
        self.complete(&stored, &new)?;
        let Some(app) = self.app(&stored, &new)? else {
            self.say_unreadable(&new)?;
            let shown = self.secrets.show().await?;
            self.note_change(&stored, &shown);
            return Ok(());
        };
        let github =
            crate::connection::github(self.place.github.clone(), app, self.place.patience)?;
        self.check_github(&github, &policy).await?;
        let shown = self.secrets.show().await?;
        if options.task == Task::RotateWebhookSecret {
            let url = self.webhook_url("--rotate-webhook-secret")?;
            let given = self.given_secret()?;
            let all = (&stored, &shown);
            rotate::rotate(&self.secrets, all, given, &github, &url, self.terminal).await?;
            self.report
                .written
                .push(self.secrets.parameter(Name::WebhookSecret));
            return self.check_hook(&github, &url).await;
        }
        self.write(&stored, &shown, &new).await?;
        self.encrypt_again(&stored, &shown, &new).await?;
        self.hook(&github, &stored, &shown, &new).await
    }

    /// Makes a new App with the person's help.
    async fn make(&mut self, stored: &Stored, policy: &Deployed) -> Result<(), Error> {
        let options = self.options;
        if let Some(name) = stored.there.first() {
            return Err(Error::Other(format!(
                "{} is in Parameter Store, but neither the App's id nor its key: give the App by --app-id ID --private-key FILE, or start over with `fargate-runners setup --remove`",
                self.secrets.parameter(*name)
            )));
        }
        let webhook_url = self.webhook_url("making an App")?;
        let nobody = crate::connection::nobody(self.place.github.clone(), self.place.patience)?;
        let owner = self.owner(&nobody, policy).await?;
        let accounts = policy
            .policy
            .as_ref()
            .map(Policy::accounts)
            .unwrap_or_default();
        let wish = Wish {
            name: options.name.clone().unwrap_or_else(|| {
                let owner = owner.as_deref().or(accounts.first().copied());
                Wish::name_for(&self.place.prefix, owner)
            }),
            organization: owner,
            scope: self.scope(policy),
            // A private App can be installed by its owner alone.
            public: accounts.len() > 1,
            check_runs: options.check_runs,
            reruns: options.reruns,
            webhook_url: webhook_url.clone(),
            port: options.port,
        };
        // The key is shown once. So what can be tried beforehand is.
        self.secrets.rehearse().await?;
        let made = manifest::make(&wish, &self.place.github, &nobody, self.terminal).await?;
        self.terminal.say(&format!(
            "✓ made: GitHub App {} ({})",
            made.slug, made.html_url
        ));
        self.report.made = Some(made.html_url.clone());
        let app = App::new(&made.id.to_string(), made.pem.expose())
            .map_err(|error| Error::Other(error.to_string()))?;
        let secret = match made.webhook_secret {
            Some(secret) => secret,
            None => new_secret()?,
        };
        let new = vec![
            (Name::PrivateKey, made.pem),
            (Name::WebhookSecret, secret.clone()),
            (Name::AppId, Secret::new(made.id.to_string())),
        ];
        self.write_new(&new, &made.html_url).await?;
        let github =
            crate::connection::github(self.place.github.clone(), app, self.place.patience)?;
        self.wait_for_installation(&github, &made.html_url).await?;
        self.check_github(&github, policy).await?;
        self.check_hook(&github, &webhook_url).await
    }

    /// Writes all secrets of a new App, or none.
    async fn write_new(&mut self, new: &[(Name, Secret)], page: &str) -> Result<(), Error> {
        for (index, (name, value)) in new.iter().enumerate() {
            match self.secrets.write(*name, value, true).await {
                Ok(key) => self.written(*name, &key),
                Err(error) => {
                    let before: Vec<_> = new[..index].iter().map(|(name, _)| *name).collect();
                    let undone = match self.secrets.take_back(&before).await {
                        Ok(()) => "Nothing is left in Parameter Store".to_owned(),
                        Err(error) => format!(
                            "What was written could not be deleted ({error}): fargate-runners setup --remove"
                        ),
                    };
                    self.report.written.clear();
                    return Err(Error::Other(format!(
                        "the App {page} is made, but its secrets could not be written ({error}). {undone}. Delete the App at its settings and run fargate-runners setup again, or generate a new key there and run: fargate-runners setup --app-id ID --private-key FILE"
                    )));
                }
            }
        }
        Ok(())
    }

    async fn wait_for_installation(&self, github: &GitHub, page: &str) -> Result<(), Error> {
        self.terminal.say(&format!(
            "Install it where jobs are to be run: {page}/installations/new"
        ));
        let mut left = self.options.install_wait;
        loop {
            match github.installed_at(1).await {
                Ok(page) if !page.items.is_empty() || left.is_zero() => return Ok(()),
                Ok(_) => {}
                // The App and its secrets are there: what passes is waited out.
                Err(github::Error::Unavailable { .. } | github::Error::RateLimited { .. })
                    if !left.is_zero() => {}
                Err(error) => return Err(error.into()),
            }
            self.terminal.wait(INSTALL_LOOK).await;
            left = left.saturating_sub(INSTALL_LOOK);
        }
    }

    /// The organization that a new App belongs to; nothing for a person.
    async fn owner(&self, nobody: &Nobody, policy: &Deployed) -> Result<Option<String>, Error> {
        if let Some(organization) = &self.options.organization {
            return Ok(Some(organization.clone()));
        }
        let accounts = policy
            .policy
            .as_ref()
            .map(Policy::accounts)
            .unwrap_or_default();
        let [only] = accounts[..] else {
            return Ok(None);
        };
        if self.scope(policy) == Scope::Organization {
            return Ok(Some(only.to_owned()));
        }
        let account = nobody
            .account(only)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let kind = account.and_then(|account| account.kind);
        Ok((kind.as_deref() == Some("Organization")).then(|| only.to_owned()))
    }

    fn unreachable(&self, error: &github::Error) -> Error {
        Error::Other(format!(
            "{error}. Nothing was written. Check the network, and that {} is the API of your GitHub (--github-api-url)",
            self.place.github
        ))
    }

    fn scope(&self, policy: &Deployed) -> Scope {
        let deployed = policy.policy.as_ref().map(|policy| policy.scope);
        self.options.scope.or(deployed).unwrap_or(Scope::Repository)
    }

    fn webhook_url(&self, what: &str) -> Result<String, Error> {
        self.place.webhook_url.clone().ok_or_else(|| {
            Error::Other(format!(
                "{what} needs the webhook's address: deploy the stack first (cdk deploy), or give its output by --webhook-url URL"
            ))
        })
    }

    async fn deployment(&self) -> Result<Deployed, Error> {
        let prefix = &self.place.prefix;
        let names = [policy_parameter(prefix), catalogue::parameter(prefix)];
        let found = self.secrets.published(&names).await?.unwrap_or_default();
        let text = |name: &String| found.get(name).map(String::as_str);
        let policy = text(&names[0]).map(|text| Policy::parse(prefix, text));
        Ok(Deployed {
            policy: policy.transpose()?,
            audiences: audiences(text(&names[1])),
        })
    }

    /// The secrets from the command line, or from the person, as far as they are not there already.
    async fn collect(&self, stored: &Stored) -> Result<New, Error> {
        let options = self.options;
        let mut new = New::new();
        let app_id = match &options.app_id {
            Some(id) => Some(id.clone()),
            None if stored.has(Name::AppId) => None,
            None => self.terminal.ask("App id (a number): ").await,
        };
        if let Some(id) = app_id {
            new.push((Name::AppId, Secret::new(id.trim())));
        }
        let file = match &options.private_key {
            Some(file) => Some(file.clone()),
            None if stored.has(Name::PrivateKey) => None,
            None => {
                let asked = self
                    .terminal
                    .ask("File with its private key (.pem): ")
                    .await;
                asked.map(PathBuf::from)
            }
        };
        if let Some(file) = file {
            new.push((Name::PrivateKey, read(&file)?));
        }
        if let Some(secret) = self.given_secret()? {
            new.push((Name::WebhookSecret, secret));
        } else if !stored.has(Name::WebhookSecret) {
            new.push((Name::WebhookSecret, new_secret()?));
        }
        Ok(new)
    }

    fn given_secret(&self) -> Result<Option<Secret>, Error> {
        self.options
            .webhook_secret_file
            .as_ref()
            .map(read)
            .transpose()
    }

    /// Whether all are there, or come now.
    fn complete(&self, stored: &Stored, new: &New) -> Result<(), Error> {
        let missing = Name::ALL
            .iter()
            .filter(|name| !stored.has(**name) && !new.iter().any(|(given, _)| given == *name));
        let missing: Vec<_> = missing.map(|name| self.secrets.parameter(*name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let half = if stored.there.is_empty() {
            ""
        } else {
            " (the others are there)"
        };
        Err(Error::Other(format!(
            "{} not in Parameter Store{half}: run fargate-runners setup, for an existing App with --app-id ID --private-key FILE",
            missing.join(", ")
        )))
    }

    /// The App, if its id and key may be read or were given.
    fn app(&self, stored: &Stored, new: &New) -> Result<Option<App>, Error> {
        let value = |name: Name| {
            let given = new.iter().find(|(given, _)| *given == name);
            given
                .map(|(_, value)| value)
                .or_else(|| stored.values.get(&name))
        };
        let given_id = self
            .options
            .app_id
            .as_ref()
            .map(|id| Secret::new(id.trim()));
        let given_key = self.options.private_key.as_ref().map(read).transpose()?;
        let id = value(Name::AppId).or(given_id.as_ref());
        let key = value(Name::PrivateKey).or(given_key.as_ref());
        let (Some(id), Some(key)) = (id, key) else {
            return Ok(None);
        };
        let app = App::new(id.expose(), key.expose());
        app.map(Some)
            .map_err(|error| Error::Other(format!("{error}. Nothing was written")))
    }

    /// Says that secrets are there which only the functions may decrypt.
    fn say_unreadable(&mut self, new: &New) -> Result<(), Error> {
        let options = self.options;
        if !new.is_empty()
            || options.task == Task::RotateWebhookSecret
            || options.webhook == Webhook::Always
        {
            return Err(Error::Other(format!(
                "{} can be decrypted by the functions alone: give the App once more by --app-id ID --private-key FILE, so that what is new can be checked before it is written, or add yourself to the deployment's secretsReaders",
                self.secrets.parameter(Name::PrivateKey)
            )));
        }
        self.found(vec![Finding::note(
            "all secrets are in Parameter Store, and only the functions may decrypt them; to check them at GitHub, add --app-id ID --private-key FILE, or add yourself to the deployment's secretsReaders",
        )]);
        Ok(())
    }

    async fn check_github(&mut self, github: &GitHub, policy: &Deployed) -> Result<(), Error> {
        let scope = self.scope(policy);
        let profile = github.profile().await.map_err(|error| match error {
            github::Error::KeyRefused { .. } | github::Error::Refused { .. } => Error::Other(format!(
                "GitHub does not know the App with this key ({error}). Nothing was written; take the id from App settings → About, and a key from the same page"
            )),
            error => self.unreachable(&error),
        })?;
        let installations = all(async |page| github.installed_at(page).await).await?;
        let mut findings = vec![Finding::good(format!(
            "App {} ({}) at {}",
            profile.slug, profile.id, self.place.github
        ))];
        findings.extend(check_profile(&profile, scope));
        findings.extend(check_installations(
            &profile.html_url,
            &installations,
            scope,
        ));
        match &policy.policy {
            None => findings.push(self.not_deployed()),
            Some(served) => {
                let public = github.is_public(&profile.slug).await?;
                findings.extend(audience::check_owners(
                    &profile,
                    public,
                    &installations,
                    served,
                ));
                if scope == Scope::Organization {
                    let published = policy.audiences.as_deref();
                    findings.extend(
                        check_organizations(github, &profile, &installations, served, published)
                            .await?,
                    );
                }
            }
        }
        self.found(findings);
        Ok(())
    }

    /// Says that there is nothing yet to compare GitHub's settings with.
    fn not_deployed(&self) -> Finding {
        Finding::bad(
            format!(
                "{} is not in Parameter Store, so it is not known here whose jobs are run",
                policy_parameter(&self.place.prefix)
            ),
            "cdk deploy writes it; then run fargate-runners setup --check",
        )
        .unless(self.options.task != Task::Check)
    }

    async fn write(&mut self, stored: &Stored, shown: &Shown, new: &New) -> Result<(), Error> {
        for (name, value) in new {
            let value = match name {
                // No secret is dropped before GitHub has its successor.
                Name::WebhookSecret => joined(&accepted_with(value, stored)),
                _ => value.clone(),
            };
            let key = self.secrets.write(*name, &value, false).await?;
            self.written(*name, &key);
        }
        if new.is_empty() && self.secrets.change(stored, shown) == Change::Settled {
            self.terminal.say("  nothing is changed in Parameter Store");
        }
        Ok(())
    }

    fn written(&mut self, name: Name, key: &str) {
        let parameter = self.secrets.parameter(name);
        self.terminal
            .say(&format!("✓ written: {parameter} (key {key})"));
        self.report.written.push(parameter);
    }

    /// Writes those that are encrypted with the AWS-managed key once more, with the deployment's own.
    async fn encrypt_again(
        &mut self,
        stored: &Stored,
        shown: &Shown,
        new: &New,
    ) -> Result<(), Error> {
        for name in self.secrets.under_managed_key(shown) {
            let parameter = self.secrets.parameter(name);
            if new.iter().any(|(written, _)| *written == name) {
                continue;
            }
            let value = stored
                .values
                .get(&name)
                .filter(|_| self.options.task != Task::Check);
            let Some(value) = value else {
                self.found(vec![Finding::note(format!(
                    "{parameter} can be read by all of this account that may read parameters; fargate-runners setup encrypts it with the deployment's own key"
                ))]);
                continue;
            };
            let settled = self.secrets.change(stored, shown) == Change::Settled;
            let Some(key) = self.secrets.encrypt_again(name, value, settled).await? else {
                self.found(vec![Finding::note(
                    "the deployment has no key of its own yet, so the AWS-managed one stays in use; run fargate-runners setup again after cdk deploy, unless secretsKey is false",
                )]);
                return Ok(());
            };
            self.terminal
                .say(&format!("✓ encrypted again: {parameter} (key {key})"));
            self.report.written.push(parameter);
        }
        Ok(())
    }

    /// Sets the webhook at GitHub if its secret is new, and compares it.
    async fn hook(
        &mut self,
        github: &GitHub,
        stored: &Stored,
        shown: &Shown,
        new: &New,
    ) -> Result<(), Error> {
        let options = self.options;
        let written = new.iter().find(|(name, _)| *name == Name::WebhookSecret);
        let wanted = match options.webhook {
            Webhook::IfNew => written.is_some(),
            Webhook::Always => true,
            Webhook::Never => false,
        };
        let Some(url) = self.place.webhook_url.clone() else {
            if options.webhook == Webhook::Always {
                self.webhook_url("--configure-webhook")?;
            }
            if written.is_some() {
                self.found(vec![Finding::bad(
                    "the webhook secret is in Parameter Store only, so GitHub does not sign with it",
                    "after cdk deploy: fargate-runners setup --configure-webhook",
                )]);
            }
            return Ok(());
        };
        if wanted && options.task != Task::Check {
            let all = match written {
                Some((_, value)) => accepted_with(value, stored),
                None => stored.webhook_secrets(),
            };
            if all.is_empty() {
                return Err(Error::Other(format!(
                    "{} can be decrypted by the functions alone: give it by --webhook-secret-file FILE, or add yourself to the deployment's secretsReaders",
                    self.secrets.parameter(Name::WebhookSecret)
                )));
            }
            if all.len() > 1 && written.is_some() {
                self.terminal
                    .say("  waiting until no function remembers the old secret alone");
                self.terminal.wait(SECRET_TTL).await;
            }
            rotate::settle(&self.secrets, &all, github, &url, self.terminal).await?;
        } else if written.is_some() {
            self.found(vec![Finding::bad(
                "the webhook secret is in Parameter Store only, so GitHub does not sign with it",
                "fargate-runners setup --configure-webhook",
            )]);
        } else {
            self.note_change(stored, shown);
        }
        self.check_hook(github, &url).await
    }

    /// Tells of a change of the webhook secret that was not finished.
    fn note_change(&mut self, stored: &Stored, shown: &Shown) {
        if let Change::Unsettled(_) = self.secrets.change(stored, shown) {
            self.found(vec![unsettled()]);
        }
    }

    async fn check_hook(&mut self, github: &GitHub, url: &str) -> Result<(), Error> {
        let findings = check_hook(&github.hook().await?, url);
        self.found(findings);
        Ok(())
    }

    /// Tells findings as they come.
    fn found(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            for line in finding.lines() {
                self.terminal.say(&line);
            }
            self.report.findings.push(finding);
        }
    }
}

/// The finding that GitHub may not have the first of the webhook secrets.
pub fn unsettled() -> Finding {
    Finding::bad(
        "GitHub may not sign with the first webhook secret in Parameter Store: a change was not finished",
        "fargate-runners setup --rotate-webhook-secret, which goes on where it was",
    )
}

/// A new webhook secret before those that are accepted already.
fn accepted_with(new: &Secret, stored: &Stored) -> Vec<Secret> {
    let mut all = vec![new.clone()];
    all.extend(
        stored
            .webhook_secrets()
            .into_iter()
            .filter(|known| known != new),
    );
    all
}

/// What the deployment tells of itself.
struct Deployed {
    /// Nothing before its stack has written it.
    policy: Option<Policy>,
    /// Its kinds of runners; nothing before the first sweep.
    audiences: Option<Vec<Audience>>,
}

/// Compares the runner groups of each organization that is served.
async fn check_organizations(
    github: &GitHub,
    app: &AppProfile,
    installations: &[Installed],
    policy: &Policy,
    published: Option<&[Audience]>,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    if published.is_none() {
        findings.push(Finding::note(
            "which runners are for which repositories is compared after the first sweep, in five minutes",
        ));
    }
    let every = [every_kind()];
    let audiences = published.unwrap_or(&every);
    for installation in served_organizations(installations, policy) {
        let Some(account) = &installation.account else {
            continue;
        };
        let organization = &account.name;
        match groups_of(github, installation.id, organization, policy, audiences).await {
            Ok(groups) => findings.extend(check_groups(policy, audiences, organization, &groups)),
            Err(error) => findings.push(unreadable_groups(organization, app_page(app), &error)),
        }
    }
    Ok(findings)
}

/// Stands for all kinds of runners before the first sweep.
pub fn every_kind() -> Audience {
    Audience {
        family: "every kind".to_owned(),
        runner_group: None,
        repositories: None,
    }
}

pub fn unreadable_groups(organization: &str, page: &str, error: &github::Error) -> Finding {
    Finding::bad(
        format!("the runner groups of {organization} cannot be read: {error}"),
        format!("{organization} accepts the permission Self-hosted runners: {page}"),
    )
}

fn app_page(app: &AppProfile) -> &str {
    &app.html_url
}

/// The installations on organizations whose jobs are run.
pub fn served_organizations<'a>(
    installations: &'a [Installed],
    policy: &Policy,
) -> Vec<&'a Installed> {
    let served = |one: &&Installed| {
        let account = one.account.as_ref();
        one.target_type == "Organization"
            && one.suspended_at.is_none()
            && account.is_some_and(|account| policy.serves_account(account))
    };
    installations.iter().filter(served).collect()
}

async fn groups_of(
    github: &GitHub,
    installation: u64,
    organization: &str,
    policy: &Policy,
    audiences: &[Audience],
) -> Result<Vec<Group>, github::Error> {
    let at = github.installation(installation);
    let groups: Vec<RunnerGroup> =
        all(async |page| at.runner_groups(organization, page).await).await?;
    let wanted = group_names(policy, audiences, organization);
    let mut found = Vec::new();
    for group in groups {
        if !wanted.iter().any(|name| policy::same(name, &group.name)) {
            continue;
        }
        let repositories: Vec<GroupRepository> = if group.visibility == "selected" {
            all(async |page| at.group_repositories(organization, group.id, page).await).await?
        } else {
            Vec::new()
        };
        found.push(Group {
            group,
            repositories: Some(repositories),
        });
    }
    Ok(found)
}

/// All pages of a list.
async fn all<I>(
    mut page: impl AsyncFnMut(u32) -> Result<Page<I>, github::Error>,
) -> Result<Vec<I>, github::Error> {
    let mut found = Vec::new();
    for number in 1..=PAGES {
        let Page { items, more } = page(number).await?;
        found.extend(items);
        if !more {
            break;
        }
    }
    Ok(found)
}

/// Reads a secret; `-` is standard input.
fn read(file: &PathBuf) -> Result<Secret, Error> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    match text {
        Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim())),
        Ok(_) => Err(Error::Other(format!(
            "{} is empty. Nothing was written",
            file.display()
        ))),
        Err(error) => Err(Error::Other(format!(
            "{} cannot be read ({error}). Nothing was written",
            file.display()
        ))),
    }
}
