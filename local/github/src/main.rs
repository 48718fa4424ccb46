//! The stand-in on its own, for a look by hand: `cargo run -p github-standin -- [PORT] [WEBHOOK]`.

use github_standin::{Config, Server, WebhookTarget};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
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
