//! The stand-in on its own, for a look by hand: `cargo run -p github-standin -- [PORT] [WEBHOOK]`.

use anyhow::Context;
use github_standin::{Config, Server, WebhookTarget};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    tooling::exit(serve().await)
}

async fn serve() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse());
    let port = port.context("the first argument is the port, a number up to 65535")?;
    let webhook = arguments
        .next()
        .map(|url| WebhookTarget { url, host: None });
    let server = Server::start(Config {
        port,
        webhook,
        ..Config::default()
    })
    .await?;
    println!("{}", server.url());
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
