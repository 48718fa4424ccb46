//! The console over AWS in memory: what it asks, what it serves, and to whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use cli::console::Console;
use cli::console::links::Links;
use cli::console::look::{CALLS, ENDED, SLOW, Watched};
use cli::console::server::{FILES, Server};
use cli::console::view::{self, JobView};
use cli::{Error, Exit};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use support::World;

/// All that a look may call, as `aws-in-memory` spells it. None of them changes anything.
const READS: [&str; 7] = [
    "states:ListExecutions",
    "states:GetExecutionHistory",
    "states:DescribeExecution",
    "ecs:DescribeTasks",
    "ecs:DescribeClusters",
    "dynamodb:Scan",
    // Counted beside: `World::others`.
    "logs:FilterLogEvents",
];
/// First paint: the files, and the first jobs.
const FIRST_PAINT: usize = 100_000;
const LIMIT: Duration = Duration::from_mins(1);

fn links(world: &World) -> Links {
    Links {
        aws: None,
        region: "us-east-1".to_owned(),
        machine: world.deployment.machine.to_string(),
        cluster: world.deployment.cluster.clone(),
        task_logs: world.deployment.task_logs.clone(),
        github: world.deployment.github.web(),
    }
}

/// So many executions that run, and that ended some minutes ago.
fn fill(world: &World, running: usize, ended: usize) {
    let long_ago = OffsetDateTime::now_utc() - time::Duration::minutes(10);
    for number in 0..running + ended {
        let job = world.job(&["self-hosted", "linux"]);
        let runs = number < running;
        let status = if runs { "RUNNING" } else { "SUCCEEDED" };
        let name = world.execution(&job, "", status, None);
        if runs {
            let runner = format!("fr-{name}");
            let planned = aws_in_memory::Aws::planned(&runner, "");
            world.aws.enter(&name, "Runner", planned);
            world.aws.add_task(&runner, "octo/hello", long_ago);
        } else {
            world.aws.close(&name, long_ago, "RanJob");
        }
    }
}

/// Looks, and returns the calls that it made.
async fn look(world: &World, watched: &mut Watched) -> Vec<String> {
    let before = (world.aws.calls().len(), *world.others.lock().unwrap());
    let now = OffsetDateTime::now_utc();
    let pool = world.aws.pool();
    watched
        .look(&world.cloud, &pool, &world.deployment, now)
        .await
        .unwrap();
    let mut calls = world.aws.calls().split_off(before.0);
    let logs = *world.others.lock().unwrap() - before.1;
    calls.extend((0..logs).map(|_| "logs:FilterLogEvents".to_owned()));
    assert_eq!(calls.len(), usize::try_from(watched.calls).unwrap());
    calls
}

#[tokio::test]
async fn each_look_keeps_to_its_bound_and_only_reads() {
    let world = World::new().await;
    fill(&world, 150, 150);
    let mut watched = Watched::default();
    let (mut made, mut most) = (BTreeSet::new(), 0);
    for _ in 0..60 {
        let calls = look(&world, &mut watched).await;
        most = most.max(calls.len());
        assert!(calls.len() <= usize::try_from(CALLS).unwrap(), "{calls:#?}");
        made.extend(calls);
    }
    println!("at most {most} calls in a look");
    for call in &made {
        let operation = call.split(' ').next().unwrap();
        assert!(
            READS.contains(&operation),
            "{call} is no call that only reads"
        );
    }
    // Everything was read in the end, and in turns.
    assert_eq!(watched.unread(), 0);
    assert_eq!(watched.executions.len(), 150 + usize::from(ENDED));
}

#[tokio::test]
async fn what_has_ended_is_not_asked_for_again() {
    let world = World::new().await;
    fill(&world, 0, 30);
    let mut watched = Watched::default();
    for _ in 0..SLOW * 2 {
        look(&world, &mut watched).await;
    }
    assert_eq!(watched.unread(), 0);
    // Besides what changes slowly: the two lists.
    for _ in 0..2 {
        look(&world, &mut watched).await;
    }
    let calls = look(&world, &mut watched).await;
    assert_eq!(calls.len(), 2, "{calls:?}");
}

#[tokio::test]
async fn a_running_job_says_where_it_is_and_a_pausing_one_why() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let name = world.execution(&job, "", "RUNNING", None);
    let planned = aws_in_memory::Aws::planned(&format!("fr-{name}"), "");
    world.aws.enter(&name, "Launch", Value::Null);
    world.aws.enter(&name, "Token", planned.clone());
    world.aws.enter(&name, "Runner", planned);
    let up = OffsetDateTime::now_utc();
    world.aws.add_task(&format!("fr-{name}"), "octo/hello", up);
    let pausing = world.job(&["self-hosted", "linux"]);
    let waits = world.execution(&pausing, "", "RUNNING", None);
    world.aws.enter(&waits, "Wait", Value::Null);

    let mut watched = Watched::default();
    look(&world, &mut watched).await;
    look(&world, &mut watched).await;
    let now = OffsetDateTime::now_utc();
    let view = |name: &str| {
        let known = &watched.executions[&name.parse().unwrap()];
        JobView::new(known, &world.deployment, &links(&world), now)
    };
    let seen = view(&name);
    assert_eq!((seen.phase, seen.attempt), ("up", 1), "{seen:#?}");
    let states: Vec<_> = seen.bars.iter().map(|bar| bar.state.as_str()).collect();
    assert_eq!(states, ["Match", "Launch", "Token", "Runner"]);
    assert!(
        seen.reason.starts_with("its runner is up"),
        "{}",
        seen.reason
    );
    assert_eq!(view(&waits).phase, "waiting");
    let all = [view(&name), view(&waits)];
    let summary = view::summary(&watched, &all, now);
    assert_eq!(summary["phases"]["up"], 1);
    assert_eq!(summary["phases"]["waiting"], 1);
    assert_eq!(summary["tasks"]["running"], 1);
}

async fn served(world: &World) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let server = Server::bind(0).await.unwrap();
    let address = server.address;
    let console = Console {
        cloud: world.cloud.clone(),
        pool: world.aws.pool(),
        deployment: world.deployment.clone(),
        links: links(world),
        every: Duration::from_millis(20),
    };
    (address, tokio::spawn(console.serve(server)))
}

async fn ask(address: std::net::SocketAddr, request: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

async fn answer(address: std::net::SocketAddr, request: &str) -> String {
    let mut text = String::new();
    let mut socket = ask(address, request).await;
    socket.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn the_first_paint_is_small_with_hundreds_of_jobs() {
    let world = World::new().await;
    fill(&world, 200, 100);
    let (address, serving) = served(&world).await;
    let mut bytes = 0;
    for (path, ..) in FILES {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        let text = answer(address, &request).await;
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        assert!(
            text.contains("content-security-policy: default-src 'none'"),
            "{text}"
        );
        bytes += text.len();
    }
    // As fat as they get: each with its history.
    let files = bytes;
    let request = format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut whole = BufReader::new(ask(address, &request).await);
    let read_all = async {
        loop {
            let mut line = String::new();
            whole.read_line(&mut line).await.unwrap();
            if line.contains("\"unread\":0") {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, read_all).await.unwrap();
    let mut events = BufReader::new(ask(address, &request).await);
    let first_jobs = async {
        let mut bytes = 0;
        loop {
            let mut line = String::new();
            bytes += events.read_line(&mut line).await.unwrap();
            if line.starts_with("data: [{") {
                return bytes;
            }
        }
    };
    bytes += tokio::time::timeout(LIMIT, first_jobs).await.unwrap();
    println!("first paint: {bytes} bytes, {files} of them files");
    assert!(bytes < FIRST_PAINT, "{bytes}");
    serving.abort();
}

#[tokio::test]
async fn a_page_of_another_site_is_not_answered_and_nothing_is_asked_for_it() {
    let world = World::new().await;
    fill(&world, 1, 1);
    let (address, serving) = served(&world).await;
    assert!(address.ip().is_loopback() && address.is_ipv4());
    let port = address.port();
    for (request, status) in [
        (
            format!("GET /events HTTP/1.1\r\nhost: rebound.example:{port}\r\n"),
            "421",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: 127.0.0.1.example:{port}\r\n"),
            "421",
        ),
        (
            format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n"),
            "405",
        ),
        (
            format!("GET /events HTTP/1.1\r\nhost: {address}\r\nsec-fetch-site: cross-site\r\n"),
            "403",
        ),
        (
            format!("GET /../Cargo.toml HTTP/1.1\r\nhost: {address}\r\n"),
            "404",
        ),
    ] {
        let request = format!("{request}connection: close\r\n\r\n");
        let text = answer(address, &request).await;
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}{text}"
        );
    }
    assert_eq!(world.aws.calls(), Vec::<String>::new());
    serving.abort();
}

#[tokio::test]
async fn a_port_in_use_is_one_sentence_with_what_to_do() {
    let first = Server::bind(0).await.unwrap();
    let error = Server::bind(first.address.port()).await.unwrap_err();
    assert!(matches!(error, Error::Port { .. }));
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.to_string().contains("--port 0"), "{error}");
}
