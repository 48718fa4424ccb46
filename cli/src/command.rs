//! The command line.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use github::secrets::AppSecrets;
use github::{ApiUrl, GitHub, Patience};
use time::OffsetDateTime;

use crate::cloud::{self, Cloud};
use crate::console::{self, Console, server::Server};
use crate::find::Found;
use crate::output::{self, Output};
use crate::{Calls, Connection, Deployment, Error, Exit, JobRef, Place, why};
use crate::{cost, doctor, jobs, pause, setup, shell, steer};

/// Explains and steers a deployment of Fargate Runners
#[derive(Debug, Parser)]
#[command(
    name = "fargate-runners",
    version,
    arg_required_else_help = true,
    after_long_help = after_help()
)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

// Help is for a terminal, where backticks are noise.
#[allow(clippy::doc_markdown)]
#[derive(Debug, Args)]
struct Options {
    /// CloudFormation stack of the deployment; not needed where the region has one deployment
    #[arg(long, global = true, value_name = "NAME")]
    stack: Option<String>,
    /// AWS Region, instead of AWS_REGION or the profile's
    #[arg(long, global = true)]
    region: Option<String>,
    /// Profile of the AWS configuration, instead of AWS_PROFILE
    #[arg(long, global = true)]
    profile: Option<String>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explain why a job waits, or what became of it
    #[command(after_help = WHY_EXAMPLES)]
    Why {
        /// The job's address at GitHub, its id, or its execution's or runner's name
        job: JobRef,
    },
    /// List the running executions: queued, starting, up, waiting, ending, with reasons
    #[command(after_help = JOBS_EXAMPLES)]
    Jobs {
        /// Look again every three seconds, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Look at so many executions, those that started last
        #[arg(long, default_value_t = 50, value_name = "NUMBER")]
        limit: usize,
    },
    /// Print the log of a job's newest task
    #[command(after_help = LOGS_EXAMPLES)]
    Logs {
        /// The job's address at GitHub, its id, or its execution's or runner's name
        job: JobRef,
    },
    /// Stop a job's execution and its idle runner, for good
    #[command(after_help = CANCEL_EXAMPLES)]
    Cancel {
        /// The job's address at GitHub, its id, or its execution's or runner's name
        job: JobRef,
        /// Stop the runner's task even if it runs a job, which fails then
        #[arg(long)]
        force: bool,
    },
    /// Have GitHub deliver a job's webhook again, which starts it if it is still queued
    #[command(after_help = REDELIVER_EXAMPLES)]
    Redeliver {
        /// The job's address at GitHub, its id, or its execution's or runner's name
        job: JobRef,
        /// GitHub's id of the delivery (App settings, Advanced), instead of looking for it
        #[arg(long, value_name = "ID")]
        delivery: Option<u64>,
    },
    /// Open a shell in the container of a running job, where its runner allows it
    #[command(after_help = SHELL_EXAMPLES)]
    Shell {
        /// The job's address at GitHub, its id, or its execution's or runner's name
        job: JobRef,
        /// What to run there
        #[arg(long, default_value = "/bin/sh", value_name = "PROGRAM")]
        command: String,
        /// Print the command instead of running it
        #[arg(long)]
        print: bool,
    },
    /// Show the jobs in a browser as they travel: a page on 127.0.0.1
    #[command(after_help = CONSOLE_EXAMPLES)]
    Console {
        /// Port of the page; 0 takes a free one
        #[arg(long, default_value_t = console::PORT)]
        port: u16,
        /// Pause between two looks at AWS
        #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(1..=60))]
        every: u8,
    },
    /// Check everything that a deployment needs, each finding with what mends it
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor,
    /// Print what runners cost, by repository, at list price
    #[command(after_help = COST_EXAMPLES)]
    Cost {
        /// How far back, such as 7d, 12h or 30m
        #[arg(long, default_value = "7d", value_name = "SPAN", value_parser = cost::since)]
        since: time::Duration,
        /// What rows are
        #[arg(long, default_value = "repository", value_parser = ["repository"])]
        by: String,
    },
    /// Take no new jobs: they stay queued at GitHub
    #[command(after_help = PAUSE_EXAMPLES)]
    Pause,
    /// Take jobs again, those that were queued meanwhile too
    #[command(after_help = RESUME_EXAMPLES)]
    Resume,
    /// Pause, and wait until no execution is running
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain {
        /// Give up waiting after so long; the deployment stays paused
        #[arg(long, default_value_t = 21_600, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Make the GitHub App, store its secrets in Parameter Store, and check GitHub's settings
    #[command(after_help = SETUP_EXAMPLES)]
    Setup(Box<SetupOptions>),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion { shell: Shell },
}

// Help is for a terminal, where backticks are noise.
#[allow(clippy::doc_markdown, clippy::struct_excessive_bools)]
#[derive(Debug, Args)]
struct SetupOptions {
    /// Check what is there, and write nothing
    #[arg(long, group = "task")]
    check: bool,
    /// Make a new webhook secret, keep accepting the old one, and set it at GitHub
    #[arg(long, group = "task")]
    rotate_webhook_secret: bool,
    /// Delete the deployment's parameters, after its stack
    #[arg(long, group = "task")]
    remove: bool,
    /// Organization that a new App belongs to, instead of the one whose jobs are run
    #[arg(long, value_name = "LOGIN", conflicts_with = "app_id")]
    organization: Option<String>,
    /// Name of a new App, unique at GitHub
    #[arg(long, conflicts_with = "app_id")]
    name: Option<String>,
    /// Let a new App write check runs (checkRuns)
    #[arg(long, conflicts_with = "app_id")]
    check_runs: bool,
    /// Let a new App run jobs again (rerunAfterInterruption)
    #[arg(long, conflicts_with = "app_id")]
    reruns: bool,
    /// Open no browser: print the address, and take the code from standard input
    #[arg(long)]
    no_browser: bool,
    /// Port of the page on 127.0.0.1, instead of a free one
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Wait so long for a new App's installation
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    install_wait: u64,
    /// Use an existing App: its id (App settings, About)
    #[arg(long, value_name = "ID")]
    app_id: Option<String>,
    /// Its private key, a .pem file; - for standard input
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// The webhook's secret, instead of a random one; when rotating, the current one
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
    /// Set URL and secret of the webhook at GitHub, even if the secret is not new
    #[arg(long, conflicts_with = "no_webhook")]
    configure_webhook: bool,
    /// Leave the webhook at GitHub as it is
    #[arg(long)]
    no_webhook: bool,
    /// URL of the webhook, instead of the stack's output
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Where runners are registered, instead of where the deployment says
    #[arg(long)]
    scope: Option<setup::policy::Scope>,
    /// Prefix of the deployment, for when there is no stack
    #[arg(long)]
    prefix: Option<String>,
    /// REST API of GitHub, instead of the deployment's (https://HOST/api/v3, https://api.NAME.ghe.com)
    #[arg(long, value_name = "URL")]
    github_api_url: Option<ApiUrl>,
    /// KMS key of the secrets (parameterKey), instead of the deployment's own
    #[arg(long, value_name = "KEY")]
    kms_key_id: Option<String>,
}

const SETUP_EXAMPLES: &str = "\
Examples:
  fargate-runners setup
  fargate-runners setup --no-browser --organization octo
  fargate-runners setup --app-id 12345 --private-key key.pem
  fargate-runners setup --check
  fargate-runners setup --rotate-webhook-secret
  fargate-runners setup --remove --prefix fargate-runners

Without an App in Parameter Store, it makes one with your browser's help: GitHub asks
you to confirm, and the key never touches this machine's disk. Run again, it changes
nothing that is there. An interrupted rotation goes on where it was.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  fargate-runners doctor
  fargate-runners doctor --json --stack staging

It makes at most 15 calls at AWS and 4 at GitHub. GitHub is asked only if the
credentials may read the App's secrets. It ends with 6 if something is to be mended.";

const COST_EXAMPLES: &str = "\
Examples:
  fargate-runners cost
  fargate-runners cost --since 30d --by repository --json

It adds up the metrics EstimatedCost and RunnerSeconds in the log of cleanup, as far back
as the log reaches, and what docs/cost.md says of the control plane. Region, savings plans
and storage above 20 GiB are left out.";

const PAUSE_EXAMPLES: &str = "\
Example:
  fargate-runners pause

The functions know it within half a minute. Running jobs go on. GitHub keeps a job in its
queue for a day.";

const RESUME_EXAMPLES: &str = "\
Example:
  fargate-runners resume

The sweep, which runs every five minutes, has GitHub deliver the webhooks again that came
during the pause.";

const DRAIN_EXAMPLES: &str = "\
Examples:
  fargate-runners drain
  fargate-runners drain --timeout 3600 && npx cdk deploy && fargate-runners resume

It ends with 1 if executions are still running after the timeout.";

const WHY_EXAMPLES: &str = "\
Examples:
  fargate-runners why https://github.com/octo/hello/actions/runs/99/job/4242
  fargate-runners why 4242
  fargate-runners why hello-4242-r2 --json

It makes at most 15 calls at AWS and 4 at GitHub. GitHub is asked only if the
credentials may read the App's secrets in Parameter Store.";

const JOBS_EXAMPLES: &str = "\
Examples:
  fargate-runners jobs
  fargate-runners jobs --watch
  fargate-runners jobs --json --limit 200

Only AWS is asked, so `up` means that a job's runner is up.";

const LOGS_EXAMPLES: &str = "\
Example:
  fargate-runners logs 4242

It is the agent's and the listener's log; the job's own log is at GitHub.";

const CANCEL_EXAMPLES: &str = "\
Examples:
  fargate-runners cancel 4242
  fargate-runners cancel 4242 --force

The job stays queued at GitHub: the App may not cancel it there. An execution that
was cancelled is not restarted.";

const REDELIVER_EXAMPLES: &str = "\
Examples:
  fargate-runners redeliver 4242
  fargate-runners redeliver 4242 --delivery 12345678901

GitHub keeps deliveries for three days.";

const SHELL_EXAMPLES: &str = "\
Examples:
  fargate-runners shell 4242
  fargate-runners shell 4242 --command /bin/bash
  fargate-runners shell 4242 --print

It is ECS Exec: the runner has `shell: true`, and this machine the aws command line and
AWS's session-manager-plugin. The shell is root's, and the job can watch it.";

const CONSOLE_EXAMPLES: &str = "\
Examples:
  fargate-runners console
  fargate-runners console --port 0 --every 10

It only reads: at most 20 calls at AWS for each look, and none while no page is open.
GitHub is not asked.";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  fargate-runners completion bash > ~/.local/share/bash-completion/completions/fargate-runners
  fargate-runners completion zsh > ~/.zfunc/_fargate-runners
  fargate-runners completion fish > ~/.config/fish/completions/fargate-runners.fish";

/// Examples and exit codes.
fn after_help() -> String {
    let mut text = "\
Examples:
  fargate-runners why https://github.com/octo/hello/actions/runs/99/job/4242
  fargate-runners why 4242 --region eu-central-1 --profile runners
  fargate-runners jobs --watch

Exit codes:
"
    .to_owned();
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(text, "  {}  {meaning}", exit.code());
    }
    text
}

impl Cli {
    /// Runs the command, and prints what it found or why it ended.
    pub async fn run(self) -> Exit {
        let output = Output::new(self.options.json);
        match Box::pin(run(self.options, self.command, output)).await {
            Ok(exit) => exit,
            // Whoever read it, such as `head`, has enough.
            Err(Error::Output(problem)) if problem.kind() == std::io::ErrorKind::BrokenPipe => {
                Exit::Done
            }
            Err(error) => {
                output.error(&error);
                error.exit()
            }
        }
    }

    /// Reads the process's arguments. Prints help or what is wrong with them, as JSON with `--json`.
    pub fn read() -> Result<Self, Exit> {
        Self::try_parse().map_err(|error| {
            let is_wrong = error.use_stderr();
            let exit = if is_wrong { Exit::Usage } else { Exit::Done };
            if is_wrong && std::env::args_os().any(|argument| argument == "--json") {
                let text = error.render().to_string();
                let text = text.split("\n\n").next().unwrap_or_default();
                let said = text.trim().strip_prefix("error: ").unwrap_or(text);
                Output::new(true).refused(said, exit);
            } else {
                // A reader that went away is no error.
                let _ = error.print();
            }
            exit
        })
    }
}

async fn run(options: Options, command: Command, output: Output) -> Result<Exit, Error> {
    if let Command::Completion { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "fargate-runners", &mut script);
        output.raw(&String::from_utf8_lossy(&script))?;
        return Ok(Exit::Done);
    }
    if let Command::Setup(wanted) = command {
        return Box::pin(set_up(&options, *wanted, output)).await;
    }
    let at = At::open(&options).await?;
    match command {
        Command::Why { job } => {
            // One call found the stack.
            let cloud = at.cloud(why::AWS_CALLS - 1);
            let github = at.github(&cloud)?;
            let now = OffsetDateTime::now_utc();
            let evidence = Box::pin(why::collect(&cloud, &at.deployment, &github, &job, now)).await;
            let explanation = why::explain(&evidence);
            output.explanation(&evidence, &explanation)?;
            Ok(if evidence.knows_the_job() {
                Exit::Done
            } else {
                Exit::NoJob
            })
        }
        Command::Jobs { watch, limit } => Box::pin(jobs(&at, output, watch, limit)).await,
        Command::Logs { job } => Box::pin(logs(&at, output, &job)).await,
        Command::Cancel { job, force } => {
            let (cloud, found) = at.look_for(&job).await?;
            let github = at.github(&cloud)?;
            let cancelled = Box::pin(steer::cancel(
                &cloud,
                &at.deployment,
                &github,
                &found,
                &job,
                force,
            ))
            .await?;
            output.said(
                &cancelled,
                &format!(
                    "Execution {} is stopped and is not restarted. The job itself is cancelled at GitHub: {}",
                    cancelled.execution, cancelled.run
                ),
            )?;
            Ok(Exit::Done)
        }
        Command::Redeliver { job, delivery } => {
            let (cloud, found) = at.look_for(&job).await?;
            let github = at.github(&cloud)?;
            let redelivered = Box::pin(steer::redeliver(&github, &found, &job, delivery)).await?;
            output.said(
                &redelivered,
                &format!(
                    "GitHub delivers {} again ({}). What comes of it: fargate-runners why {}",
                    redelivered.delivery, redelivered.because, job.id
                ),
            )?;
            Ok(Exit::Done)
        }
        Command::Shell {
            job,
            command,
            print,
        } => {
            if !print {
                shell::Session::check_programs(std::env::var_os("PATH").as_deref())?;
            }
            let (cloud, found) = at.look_for(&job).await?;
            let place = options.place();
            let session = Box::pin(shell::open(
                &cloud,
                &at.deployment,
                &found,
                &job,
                &command,
                &place,
            ))
            .await?;
            if !print {
                return Err(session.exec());
            }
            let line = session.line();
            if output.is_json() {
                output.json(&serde_json::json!({ "command": line }))?;
            } else {
                output.raw(&format!("{line}\n"))?;
            }
            Ok(Exit::Done)
        }
        Command::Console { port, every } => Box::pin(at.console(output, port, every.into())).await,
        Command::Doctor => {
            let clients = doctor::Clients::new(&at.connection, &at.deployment);
            let now = OffsetDateTime::now_utc();
            let report = Box::pin(doctor::examine(&clients, &at.deployment, now)).await;
            output.examined(&at.deployment, &report)?;
            Ok(if report.well() {
                Exit::Done
            } else {
                Exit::Findings
            })
        }
        Command::Cost { since, by: _ } => {
            let cloud = at.cloud(0);
            let now = OffsetDateTime::now_utc();
            let costs = cost::read(&cloud.logs, &at.deployment.cleanup, since, now).await?;
            output.costs(&costs)?;
            Ok(Exit::Done)
        }
        Command::Pause => {
            let since = at.paused().pause(OffsetDateTime::now_utc()).await?;
            let sentence = format!(
                "{} is paused since {since}. Within half a minute, new jobs stay queued at GitHub. Running ones go on. To take jobs again: fargate-runners resume",
                at.deployment.stack
            );
            output.said(&serde_json::json!({ "pausedSince": since }), &sentence)?;
            Ok(Exit::Done)
        }
        Command::Resume => {
            let was = at.paused().resume().await?;
            let sentence = if was {
                format!(
                    "{} takes jobs again. The sweep begins those that were queued meanwhile within minutes.",
                    at.deployment.stack
                )
            } else {
                format!("{} was not paused.", at.deployment.stack)
            };
            output.said(&serde_json::json!({ "wasPaused": was }), &sentence)?;
            Ok(Exit::Done)
        }
        Command::Drain { timeout } => Box::pin(drain(&at, output, timeout)).await,
        Command::Completion { .. } | Command::Setup(_) => Ok(Exit::Done),
    }
}

/// Pauses, and waits until nothing runs.
async fn drain(at: &At, output: Output, timeout: u64) -> Result<Exit, Error> {
    at.paused().pause(OffsetDateTime::now_utc()).await?;
    let cloud = at.cloud(u32::MAX);
    let limit = std::time::Duration::from_secs(timeout);
    let drained = pause::drained(&cloud.executions, limit, |left| {
        output::tell(&format!("{left} executions are running"));
    });
    let left = tokio::select! {
        left = drained => left.map_err(|error| {
            Error::Other(format!(
                "{error}. What is running is not known; {} stays paused: run fargate-runners drain again",
                at.deployment.stack
            ))
        })?,
        signal = tokio::signal::ctrl_c() => {
            signal.map_err(|error| Error::Other(error.to_string()))?;
            return Err(Error::Other(format!(
                "stopped waiting; {} stays paused (fargate-runners resume)",
                at.deployment.stack
            )));
        }
    };
    if left > 0 {
        return Err(Error::Other(format!(
            "{left} executions are still running after {timeout} s; {} stays paused. Look at them: fargate-runners jobs",
            at.deployment.stack
        )));
    }
    let sentence = format!(
        "{} is paused, and nothing is running. To take jobs again: fargate-runners resume",
        at.deployment.stack
    );
    output.said(&serde_json::json!({ "running": left }), &sentence)?;
    Ok(Exit::Done)
}

/// `setup`: works before there is a stack, and after it is gone.
async fn set_up(options: &Options, wanted: SetupOptions, output: Output) -> Result<Exit, Error> {
    let connection = Connection::open(&options.place()).await?;
    let stack = options.stack.as_deref().or(wanted.prefix.as_deref());
    let deployment = match Deployment::find(&connection, stack).await {
        Ok(deployment) => Some(deployment),
        Err(
            Error::NoStack { .. }
            | Error::NoDeployment { .. }
            | Error::Broken { .. }
            | Error::Another { .. },
        ) if wanted.prefix.is_some() && options.stack.is_none() => None,
        Err(Error::NoDeployment { region, .. }) => return Err(Error::NothingToSetUp { region }),
        Err(error) => return Err(error),
    };
    let at = deployment.as_ref();
    let environment = std::env::var("GITHUB_API_URL").ok();
    let github = match (wanted.github_api_url, at, environment) {
        (Some(url), ..) => url,
        (None, Some(deployment), _) => deployment.github.clone(),
        (None, None, Some(url)) => url.parse().map_err(|error| {
            Error::Other(format!(
                "environment variable GITHUB_API_URL is {url:?}: {error}"
            ))
        })?,
        (None, None, None) => ApiUrl::default(),
    };
    let prefix = at
        .map(|deployment| deployment.prefix.clone())
        .or(wanted.prefix);
    let place = setup::Place {
        prefix: prefix.unwrap_or_default(),
        ssm: aws_sdk_ssm::Client::new(&connection.config),
        kms_key: wanted.kms_key_id,
        github,
        webhook_url: wanted
            .webhook_url
            .or_else(|| at.map(|deployment| deployment.webhook_url.clone())),
        patience: Patience::default(),
    };
    let task = match (wanted.check, wanted.rotate_webhook_secret, wanted.remove) {
        (true, ..) => setup::Task::Check,
        (_, true, _) => setup::Task::RotateWebhookSecret,
        (.., true) => setup::Task::Remove,
        _ => setup::Task::SetUp,
    };
    let webhook = match (wanted.configure_webhook, wanted.no_webhook) {
        (true, _) => setup::Webhook::Always,
        (_, true) => setup::Webhook::Never,
        _ => setup::Webhook::IfNew,
    };
    let terminal = setup::Console {
        json: output.is_json(),
        browser: !wanted.no_browser,
    };
    let options = setup::Options {
        app_id: wanted.app_id,
        private_key: wanted.private_key,
        webhook_secret_file: wanted.webhook_secret_file,
        scope: wanted.scope,
        organization: wanted.organization,
        name: wanted.name,
        check_runs: wanted.check_runs,
        reruns: wanted.reruns,
        port: wanted.port,
        install_wait: std::time::Duration::from_secs(wanted.install_wait),
        webhook,
        task,
    };
    let report = Box::pin(setup::run(&options, &place, &terminal)).await?;
    if output.is_json() {
        output.json(&serde_json::json!(report))?;
    }
    Ok(if report.well() {
        Exit::Done
    } else {
        Exit::Findings
    })
}

async fn jobs(at: &At, output: Output, watch: bool, limit: usize) -> Result<Exit, Error> {
    let mut failures = 0;
    loop {
        // Each look reads one list, two pages of each history at most, and the tasks.
        let cloud = at.cloud(u32::try_from(limit).unwrap_or(u32::MAX).saturating_mul(2));
        let now = OffsetDateTime::now_utc();
        match jobs::look(&cloud, &at.deployment, limit, now).await {
            Ok(seen) => {
                output.jobs(&seen, watch)?;
                failures = 0;
            }
            // The next look may find AWS at rest.
            Err(error) if watch && error.passes() && failures < FAILURES => {
                output::tell(&format!("{error}; looking again"));
                failures += 1;
            }
            Err(error) => return Err(error),
        }
        if !watch {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            signal = tokio::signal::ctrl_c() => {
                return signal.map(|()| Exit::Done).map_err(|error| Error::Other(error.to_string()));
            }
        }
    }
}

/// Pages of a log; each has up to a megabyte.
const LOG_PAGES: usize = 200;

async fn logs(at: &At, output: Output, job: &JobRef) -> Result<Exit, Error> {
    let (cloud, found) = at.look_for(job).await?;
    let (newest, _) = found.served(job)?;
    let task = match &newest.output {
        Some(ended) => ended.task.clone(),
        None => match cloud.course(&newest.name).await {
            why::Seen::Found(course) => course.task,
            why::Seen::Nothing => None,
            why::Seen::Unknown(why) => return Err(Error::Other(why)),
        },
    };
    let Some(task) = task else {
        return Err(Error::Other(format!(
            "execution {} has started no task yet; `fargate-runners why {}` tells where it is",
            newest.name, job.id
        )));
    };
    let group = &at.deployment.task_logs;
    let mut token = None;
    for _ in 0..LOG_PAGES {
        let (lines, next) = match cloud.log(group, &task, token.clone()).await {
            Ok(page) => page,
            Err(error) if error.kind() == aws::ErrorKind::NotFound => {
                return Err(Error::Other(format!(
                    "log group {group} has no stream {}: the task has written nothing yet, the log has expired, or the task ran in a local stack, which writes logs/ in its directory",
                    cloud::stream_of(&task)
                )));
            }
            Err(error) => return Err(error.into()),
        };
        output.lines(&lines)?;
        // The last page names itself as the next.
        if next.is_none() || next == token {
            break;
        }
        token = next;
    }
    Ok(Exit::Done)
}

/// Interval of `--watch`.
const LOOK: std::time::Duration = std::time::Duration::from_secs(3);
/// Looks in a row that may fail for a passing reason.
const FAILURES: u32 = 10;

impl Options {
    fn place(&self) -> Place {
        Place {
            region: self.region.clone(),
            profile: self.profile.clone(),
        }
    }
}

/// The deployment that a command is about.
struct At {
    connection: Connection,
    deployment: Deployment,
}

impl At {
    async fn open(options: &Options) -> Result<Self, Error> {
        let connection = Connection::open(&options.place()).await?;
        let deployment = Deployment::find(&connection, options.stack.as_deref()).await?;
        Ok(Self {
            connection,
            deployment,
        })
    }

    fn paused(&self) -> pause::Paused {
        let ssm = aws_sdk_ssm::Client::new(&self.connection.config);
        pause::Paused::new(ssm, &self.deployment.prefix)
    }

    /// What AWS knows of a job, with calls left for what follows.
    async fn look_for(&self, job: &JobRef) -> Result<(Cloud, Found), Error> {
        let cloud = self.cloud(100);
        let now = OffsetDateTime::now_utc();
        let found = Box::pin(Found::look(&cloud, &self.deployment, job, now)).await;
        Ok((cloud, found))
    }

    fn cloud(&self, calls: u32) -> Cloud {
        Cloud::new(&self.connection, &self.deployment, Calls::at_most(calls))
    }

    /// Serves the page until Ctrl-C.
    async fn console(self, output: Output, port: u16, every: u64) -> Result<Exit, Error> {
        let server = Server::bind(port).await?;
        let url = format!("http://{}/", server.address);
        output.said(
            &serde_json::json!({ "url": url }),
            &format!(
                "The console of {} is at {url} until Ctrl-C.",
                self.deployment.stack
            ),
        )?;
        let console = Console::new(&self.connection, self.deployment, every);
        tokio::select! {
            () = console.serve(server) => Ok(Exit::Done),
            signal = tokio::signal::ctrl_c() => {
                signal.map(|()| Exit::Done).map_err(|error| Error::Other(error.to_string()))
            }
        }
    }

    /// The App at GitHub. Somebody is waiting, so nothing is asked twice.
    fn github(&self, cloud: &Cloud) -> Result<GitHub, Error> {
        let secrets = AppSecrets::new(cloud.ssm.clone(), &self.deployment.prefix);
        let url = self.deployment.github.clone();
        Ok(crate::connection::github(url, secrets, Patience::NONE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_has_examples_and_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("Examples:"), "{help}");
        for (exit, meaning) in Exit::ALL {
            assert!(
                help.contains(&format!("{}  {meaning}", exit.code())),
                "{help}"
            );
        }
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_help().to_string();
            assert!(help.contains("Example"), "{help}");
        }
    }

    #[test]
    fn every_example_of_the_help_and_the_readme_is_one_that_the_command_line_takes() {
        let mut help = Cli::command().render_long_help().to_string();
        for command in Cli::command().get_subcommands_mut() {
            help.push_str(&command.render_long_help().to_string());
        }
        let pages = [
            help.as_str(),
            include_str!("../README.md"),
            include_str!("../../README.md"),
        ];
        let mut examples = 0;
        for line in pages.iter().flat_map(|page| page.lines()) {
            for part in line.split("&&") {
                let part = part.split('>').next().unwrap_or_default().trim();
                // In prose it stands in backticks.
                if !part.starts_with("fargate-runners ") || part.contains('`') {
                    continue;
                }
                let arguments = part.split_whitespace();
                let read = Cli::try_parse_from(arguments);
                assert!(read.is_ok(), "{line}: {:?}", read.err());
                examples += 1;
            }
        }
        assert!(examples > 30, "{examples}");
    }
}
