//! An Enterprise Server with a certificate of a private authority, behind a forward proxy: functions, agent,
//! runner and jobs reach it only through that, and only with the bundle.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;

use github_standin::{Config, JobStatus, Server};
use local_stack::{Deployment, Plan, REGION, synthesize};
use protocol::{Registration, Secret};
use serde_json::json;
use system_tests::Recorder;
use tokio::process::Command;
use tooling::{Checkout, Progress};

use crate::gate::{Authority, Gate, Open, Tinyproxy};
use crate::harness::{Harness, LIMIT, Site, assert_succeeded, run, script, site_of};

/// Any in ECR: the engine pulls all, and an isolated network reaches no other registry.
const IMAGE: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/runner:1";

struct Proxied {
    site: Site,
    gate: Open,
    proxy: Tinyproxy,
    github: String,
    /// The same by plain HTTP.
    by_http: String,
}

/// Deploys into a network whose only way to GitHub is the proxy.
async fn deployed(harness: &Harness, plan: Plan, authority: &Authority, trusting: bool) -> Proxied {
    let (proxy, gate) = (Tinyproxy::start().await, Gate::new().await);
    let github = Server::start(Config {
        address: Some(gate.plain_url()),
        ..Config::default()
    });
    let github = Arc::new(github.await.expect("the GitHub stand-in starts"));
    let recorder = Recorder::start(github.url()).await.expect("the recorder");
    let (url, by_http) = (gate.tls_url(), gate.plain_url());
    let gate = gate.open(authority, &recorder.url);
    let mut plan = plan
        .below(harness.engine.directory())
        .with("network", "isolated")
        .with("githubInsideNetwork", "true")
        .with("githubApiUrl", &format!("{url}/api/v3"))
        .with("image", IMAGE)
        .with("proxy", &proxy.url);
    if trusting {
        plan = plan.with("caBundle", &authority.bundle.display().to_string());
    }
    let (checkout, step) = (Checkout::here(), Progress::new().step("behind a proxy"));
    synthesize(&checkout, &step, &plan, &url).expect("cdk synth");
    let deployment =
        Deployment::deploy(&checkout, &step, &harness.engine, &plan, github).expect("cdk deploy");
    step.done("");
    let site = site_of(deployment, recorder);
    site.deployment.write_secrets().await.expect("secrets");
    Proxied {
        site,
        gate,
        proxy,
        github: url,
        by_http,
    }
}

#[test]
fn behind_a_proxy_and_a_private_authority_a_job_is_served_and_its_programs_reach_github() {
    run(async |harness| {
        let authority = Authority::new();
        let plan = Plan::new("proxied", "px");
        let Proxied {
            site,
            gate,
            proxy,
            github,
            by_http,
        } = deployed(harness, plan, &authority, true).await;

        // Python reads proxy and authorities from the same variables as most programs.
        let fetch = format!(
            "python3 -c 'import urllib.request as r; print(r.urlopen(\"{github}/api/v3/repos/octo/none\").status)' 2>&1 | tail -n 1\n\
             grep -c BEGIN \"$NODE_EXTRA_CA_CERTS\" \"$GIT_SSL_CAINFO\" | sed 's/.*://' | head -n 1\n\
             echo \"$https_proxy\""
        );
        let (job, execution) = site.run(script("octo/walled", &fetch)).await;
        assert_succeeded(&execution);
        site.reaches(&job, JobStatus::Completed).await;
        let output = site.job(&job).output;
        let lines: Vec<_> = output.trim().lines().collect();
        // Without a token GitHub answers 401 or 404: TLS through the proxy went well.
        assert!(lines[0].contains("HTTP Error 40"), "{output}");
        assert_eq!(lines[1..], ["1", proxy.url.as_str()], "{output}");
        site.nothing_left_of(&job).await;

        let log = proxy.log();
        let server = github.trim_start_matches("https://");
        assert!(log.contains(&format!("CONNECT {server} ")), "{log}");
        assert!(!site.recorder.exchanges().is_empty());
        assert_eq!(gate.turned_away(), 0, "somebody went past the proxy");
        let past = reqwest::Client::builder().no_proxy().build().unwrap();
        assert!(past.get(&by_http).send().await.is_err());
        assert_eq!(gate.turned_away(), 1);
    });
}

#[test]
fn without_the_bundle_the_execution_fails_with_a_cause_that_names_it() {
    run(async |harness| {
        let authority = Authority::new();
        let plan = Plan::new("untrusting", "ut");
        let Proxied {
            site,
            gate,
            proxy: _running,
            ..
        } = deployed(harness, plan, &authority, false).await;
        let (job, execution) = site.run(script("octo/distrusted", "true")).await;
        let cause = execution.cause.unwrap_or_default();
        assert_eq!(execution.status, "FAILED", "{cause}");
        let error = execution.error.as_deref();
        assert_eq!(error, Some("BadConfiguration"), "{cause}");
        assert!(cause.contains("caBundle"), "{cause}");
        assert_eq!(site.job(&job).status, JobStatus::Queued);
        assert_eq!(gate.turned_away(), 0, "somebody went past the proxy");
    });
}

/// Ends at once as after a job, and tells its environment.
const LISTENER: &str = "#!/bin/sh
env | sort
echo '2026-03-01 10:00:00Z: Listening for Jobs'
echo '2026-03-01 10:00:01Z: Running job: build'
echo '2026-03-01 10:00:02Z: Job build completed with result: Succeeded'
";

#[test]
fn the_agent_reaches_aws_through_the_proxy_too() {
    run(async |harness| {
        let authority = Authority::new();
        let (proxy, gate) = (Tinyproxy::start().await, Gate::new().await);
        let url = gate.tls_url();
        let gate = gate.open(&authority, harness.engine.endpoint());
        let aws = harness.engine.aws().unwrap();
        let path = "/walled/runners/fr-hello-42/0123456789abcdef0123456789abcdef";
        let registration = Registration::Jit(Secret::new("e30=")).encode().unwrap();
        aws.put_secret(path, registration.expose()).await.unwrap();

        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        let listener = home.path().join("bin/Runner.Listener");
        fs::write(&listener, LISTENER).unwrap();
        fs::set_permissions(&listener, fs::Permissions::from_mode(0o755)).unwrap();
        let agent = Command::new(Checkout::here().agent())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", home.path())
            .env("AGENT_RUNNER_HOME", home.path())
            .env("AGENT_PARAMETER", path)
            .env("AWS_REGION", REGION)
            .env("AWS_ENDPOINT_URL", &url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("https_proxy", &proxy.url)
            .env("no_proxy", "localhost,127.0.0.1")
            .env(
                "AGENT_CA_BUNDLE",
                fs::read_to_string(&authority.bundle).unwrap(),
            )
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let agent = tokio::time::timeout(LIMIT, agent).await.expect("it ends");
        let said = agent.unwrap();
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.contains("RanJob"), "{said}");
        for variable in ["SSL_CERT_FILE=", "NODE_EXTRA_CA_CERTS=", "GIT_SSL_CAINFO="] {
            assert!(said.contains(variable), "{said}");
        }
        assert!(!said.contains("AGENT_CA_BUNDLE="), "{said}");
        // It has read and deleted its registration.
        let gone = aws.ssm("GetParameter", json!({ "Name": path })).await;
        assert!(gone.is_err());
        let server = url.trim_start_matches("https://");
        assert!(proxy.log().contains(&format!("CONNECT {server} ")));
        assert_eq!(gate.turned_away(), 0, "it went past the proxy");
    });
}
