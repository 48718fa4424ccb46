//! What a function finds around it: AWS, GitHub, and its environment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tooling::Checkout;

use crate::aws::Aws;
use crate::github::GitHub;
use crate::sandbox::{Reply, Sandbox};
use crate::serve::Server;
use crate::share::Share;
use crate::subject::{APP_ID, PREFIX, SECRET, Subject};
use crate::tls::Authority;

/// The stand-in's key, of the size that GitHub generates.
const APP_KEY: &str = "local/github/src/test-app.private-key.pem";
/// The authorities that functions carry in them.
const AMAZON: &str = "crates/aws/src/amazon-trust-services.pem";
const STATE_MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:bench";

/// Everything around the functions.
pub(crate) struct Rig {
    pub(crate) aws: Arc<Aws>,
    pub(crate) github: Arc<GitHub>,
    pub(crate) authority: Authority,
    aws_at: Server,
    github_at: Server,
    directory: TempDir,
    programs: PathBuf,
    agent: PathBuf,
}

impl Rig {
    /// An account whose webhook secret and App are in place.
    pub(crate) async fn new(checkout: &Checkout) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let authority = Authority::new(directory.path(), &checkout.path(AMAZON))?;
        let (aws, github) = (Arc::new(Aws::default()), Arc::new(GitHub::default()));
        let key = checkout.path(APP_KEY);
        let key =
            std::fs::read_to_string(&key).with_context(|| format!("reading {}", key.display()))?;
        aws.account().parameters.extend([
            (
                format!("/{PREFIX}/github/webhook-secret"),
                SECRET.to_owned(),
            ),
            (format!("/{PREFIX}/github/app-id"), APP_ID.to_owned()),
            (format!("/{PREFIX}/github/private-key"), key),
        ]);
        let tls = || Some(authority.acceptor.clone());
        Ok(Self {
            aws_at: Server::start(tls(), Arc::clone(&aws)).await?,
            github_at: Server::start(tls(), Arc::clone(&github)).await?,
            aws,
            github,
            authority,
            directory,
            programs: checkout.target().join("bench"),
            agent: checkout.target().join("bench/agent/bootstrap"),
        })
    }

    /// Has AWS and GitHub take as long as they do from a function in the same region.
    pub(crate) fn slow(&self, aws: Duration, github: Duration) {
        self.aws.account().latency = aws;
        *self
            .github
            .latency
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = github;
    }

    /// Has a sweep publish the catalogue, if it is built: only `match` and `sweep` read it.
    pub(crate) async fn publish(&self) -> anyhow::Result<()> {
        if !self.program(Subject::Sweep).is_file() {
            return Ok(());
        }
        let mut sandbox = self.sandbox(Subject::Sweep, &[], None).await?;
        sandbox.ready().await?;
        self.invoke(&mut sandbox, Subject::Sweep, 0).await?;
        Ok(())
    }

    /// The functions that are built.
    pub(crate) fn built(&self) -> Vec<Subject> {
        let mut all = Subject::ALL.to_vec();
        all.retain(|subject| self.program(*subject).is_file());
        all
    }

    pub(crate) fn program(&self, subject: Subject) -> PathBuf {
        self.programs.join(subject.name()).join("bootstrap")
    }

    pub(crate) fn agent(&self) -> &Path {
        &self.agent
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn aws_url(&self) -> String {
        format!("https://{}", self.aws_at.address)
    }

    /// A function's environment, as CDK sets it.
    pub(crate) fn environment(&self, subject: Subject) -> Vec<(String, String)> {
        let own: &[(&str, &str)] = match subject {
            Subject::Empty | Subject::Match | Subject::Token => &[],
            Subject::Verify => &[
                ("STATE_MACHINE_ARN", STATE_MACHINE),
                ("CLEANUP_FUNCTION", "cleanup"),
                ("ALLOWED_OWNERS", "octo"),
                (
                    "OVERFLOW_QUEUE_URL",
                    "https://sqs.us-east-1.amazonaws.com/000000000000/overflow",
                ),
            ],
            Subject::Launch => &[
                ("CLUSTER", "runners"),
                ("SUBNETS", "subnet-1,subnet-2"),
                ("SECURITY_GROUPS", "sg-1"),
            ],
            Subject::Cleanup => &[("STATE_MACHINE_ARN", STATE_MACHINE), ("CLUSTER", "runners")],
            Subject::Sweep => &[
                ("STATE_MACHINE_ARN", STATE_MACHINE),
                ("CLUSTER", "runners"),
                ("FAMILY_PREFIX", "fargate-runners-"),
            ],
            Subject::Stock => &[
                ("CLUSTER", "runners"),
                ("SUBNETS", "subnet-1,subnet-2"),
                ("SECURITY_GROUPS", "sg-1"),
                ("TABLE", "fargate-runners-stock"),
                (
                    "STOCK",
                    r#"[{"family":"fargate-runners-team-7","size":1,"maxAgeSeconds":21600,"spot":false}]"#,
                ),
            ],
        };
        let common = [
            ("DEPLOYMENT", "fr".to_owned()),
            ("PREFIX", PREFIX.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", self.aws_url()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            (
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            ),
            // A real one is about as long.
            ("AWS_SESSION_TOKEN", "t".repeat(900)),
            (
                "GITHUB_API_URL",
                format!("https://{}", self.github_at.address),
            ),
            // These have what is elsewhere in the program, and what trusts loopback.
            ("AWS_CA_BUNDLE", self.authority.amazon.display().to_string()),
            (
                "GITHUB_CA_BUNDLE",
                self.authority.github.display().to_string(),
            ),
            ("SSL_CERT_FILE", self.authority.bundle.display().to_string()),
        ];
        let own = own.iter().map(|(name, value)| (*name, (*value).to_owned()));
        common
            .into_iter()
            .chain(own)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Starts a sandbox of a function.
    pub(crate) async fn sandbox(
        &self,
        subject: Subject,
        more: &[(&str, &str)],
        share: Option<&Share>,
    ) -> anyhow::Result<Sandbox> {
        let mut environment = self.environment(subject);
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        environment.extend(more);
        let log = self.log_file(subject);
        Sandbox::start(&self.program(subject), &environment, &log, share).await
    }

    /// Starts one by another program, of which the function's path is the last argument.
    pub(crate) async fn sandbox_in(
        &self,
        subject: Subject,
        by: &[String],
    ) -> anyhow::Result<Sandbox> {
        let (program, arguments) = by.split_first().context("no program is named")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(self.program(subject));
        let (environment, log) = (self.environment(subject), self.log_file(subject));
        Sandbox::run(command, &environment, &log, None).await
    }

    /// Where the functions' programs are.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    /// Where a function's newest sandbox logs; a peer's logs where the function whose events it gets would.
    pub(crate) fn log_file(&self, subject: Subject) -> PathBuf {
        self.directory().join(format!("{}.log", subject.name()))
    }

    /// How many bytes a function's newest sandbox has logged.
    pub(crate) fn logged(&self, subject: Subject) -> u64 {
        std::fs::metadata(self.log_file(subject)).map_or(0, |log| log.len())
    }

    /// What a function logged last, for an error.
    pub(crate) fn log(&self, subject: Subject) -> String {
        let text = std::fs::read_to_string(self.log_file(subject)).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Invokes a function for a job, which has to go well; the wall time that it took.
    pub(crate) async fn invoke(
        &self,
        sandbox: &mut Sandbox,
        subject: Subject,
        job: u64,
    ) -> anyhow::Result<Duration> {
        let (reply, wall) = sandbox
            .invoke(subject.event(job))
            .await
            .with_context(|| format!("{}:\n{}", subject.name(), self.log(subject)))?;
        match reply {
            Reply::Done(answer) if subject.is_well(&answer) => Ok(wall),
            Reply::Done(answer) => {
                anyhow::bail!(
                    "{} answered {answer}\n{}",
                    subject.name(),
                    self.log(subject)
                )
            }
            Reply::Failed(error) => {
                anyhow::bail!("{} failed: {error}\n{}", subject.name(), self.log(subject))
            }
        }
    }
}
