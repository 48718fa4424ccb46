//! Another's function, beside these: the same host, the same stubs, the same events. Nothing of it is known
//! here but its directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::rig::Rig;
use crate::sandbox::{Reply, Sandbox};
use crate::size;
use crate::subject::Subject;

/// What Lambda's Node runtime does for a handler, as far as a comparison needs it.
const NODE: &str = include_str!("node.mjs");

/// A bundle.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its row's name.
    pub(crate) name: String,
    /// Whose events it gets.
    pub(crate) event: Subject,
    directory: PathBuf,
    start: Start,
    environment: Vec<(String, String)>,
}

/// How it is started.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// By its own program.
    Bootstrap(PathBuf),
    /// By Node, as `file.function`.
    Node(String),
}

impl Peer {
    /// Looks what is in a directory.
    pub(crate) fn open(
        directory: &Path,
        event: Subject,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let shown = directory.display();
        let directory = directory
            .canonicalize()
            .with_context(|| format!("--peer {shown}: there is no such directory"))?;
        ensure!(
            directory.is_dir(),
            "--peer {shown}: this is a file; unpack the bundle and name the directory"
        );
        let (bootstrap, handler) = (directory.join("bootstrap"), directory.join("handler"));
        let start = if bootstrap.is_file() {
            Start::Bootstrap(bootstrap)
        } else if handler.is_file() {
            let named = std::fs::read_to_string(&handler)
                .with_context(|| format!("reading {}", handler.display()))?;
            let named = named.trim().to_owned();
            ensure!(
                named
                    .rsplit_once('.')
                    .is_some_and(|(file, function)| !file.is_empty() && !function.is_empty()),
                "--peer {shown}: the file handler says {named:?}; write the file and the function, such as index.handler"
            );
            Start::Node(named)
        } else {
            bail!(
                "--peer {shown}: there is neither a program bootstrap nor a file handler; add a file handler with the function's \
                 handler in it, such as index.handler"
            );
        };
        let name = directory.file_name().unwrap_or_default();
        Ok(Self {
            name: format!("peer {}", name.to_string_lossy()),
            event,
            directory,
            start,
            environment: environment.to_vec(),
        })
    }

    /// Starts a sandbox of it.
    pub(crate) async fn sandbox(&self, rig: &Rig) -> anyhow::Result<Sandbox> {
        let mut environment = rig.environment(self.event);
        let own = |name: &str, value: String| (name.to_owned(), value);
        environment.push(own(
            "LAMBDA_TASK_ROOT",
            self.directory.display().to_string(),
        ));
        // Node trusts loopback's authority by this.
        if let Some(bundle) = environment
            .iter()
            .find(|(name, _)| name == "SSL_CERT_FILE")
            .map(|(_, value)| value.clone())
        {
            environment.push(own("NODE_EXTRA_CA_CERTS", bundle));
        }
        environment.push(own("PATH", std::env::var("PATH").unwrap_or_default()));
        let mut command = match &self.start {
            Start::Bootstrap(program) => Command::new(program),
            Start::Node(handler) => {
                let runtime = rig.directory().join("node.mjs");
                std::fs::write(&runtime, NODE)
                    .with_context(|| format!("writing {}", runtime.display()))?;
                environment.push(own("_HANDLER", handler.clone()));
                let mut node = Command::new("node");
                node.arg(runtime);
                node
            }
        };
        environment.extend(self.environment.iter().cloned());
        command.current_dir(&self.directory);
        Sandbox::run(command, &environment, &rig.log_file(self.event), None).await
    }

    /// Invokes it for a job. It must not fail, nor answer with an HTTP status that says so; what else it
    /// answers is its own business.
    pub(crate) async fn invoke(
        &self,
        rig: &Rig,
        sandbox: &mut Sandbox,
        job: u64,
    ) -> anyhow::Result<()> {
        let log = || rig.log(self.event);
        let (reply, _) = sandbox
            .invoke(self.event.event(job))
            .await
            .with_context(log)?;
        match reply {
            Reply::Done(answer) if status(&answer).is_some_and(|status| status >= 400) => {
                bail!("{} answered {answer}\n{}", self.name, log())
            }
            Reply::Done(_) => Ok(()),
            Reply::Failed(error) => bail!("{} failed: {error}\n{}", self.name, log()),
        }
    }

    /// Bytes of its directory, and of a zip with it.
    pub(crate) fn size(&self) -> anyhow::Result<(u64, u64)> {
        size::of_directory(&self.directory)
    }
}

fn status(answer: &Value) -> Option<u64> {
    answer["statusCode"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use tooling::Checkout;

    use crate::floor;

    /// Answers with the job of the webhook that it got, and asks SSM once, as a webhook's function does.
    const HANDLER: &str = r#"
import https from "node:https";

const secret = new Promise((resolve, reject) => {
  const url = new URL(process.env.AWS_ENDPOINT_URL);
  const request = https.request(url, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter" },
  }, (response) => {
    response.resume();
    response.on("end", () => resolve(response.statusCode));
  });
  request.on("error", reject);
  request.end(JSON.stringify({ Name: `/${process.env.PREFIX}/github/webhook-secret` }));
});

export const handler = async (event) => {
  const job = JSON.parse(event.body).workflow_job.id;
  return { statusCode: await secret, body: `${job} ${process.env.GREETING}` };
};
"#;

    fn bundle(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[tokio::test]
    async fn a_handler_of_node_is_measured_with_the_same_stubs_and_events() {
        let bundle = bundle(&[("index.mjs", HANDLER), ("handler", "index.handler\n")]);
        let environment = [("GREETING".to_owned(), "hello".to_owned())];
        let peer = Peer::open(bundle.path(), Subject::Verify, &environment).unwrap();
        let rig = Rig::new(&Checkout::here()).await.unwrap();
        let peers = [peer];
        let measured = floor::measure(&rig, &[], &peers, 1, 2).await.unwrap();
        let [figures] = &measured[..] else {
            panic!("{measured:?}");
        };
        assert!(figures.name.starts_with("peer "), "{}", figures.name);
        assert_eq!(figures.first_calls["ssm:GetParameter"], 1);
        assert!(figures.warm_calls.is_empty());
        let bytes = u64::try_from(HANDLER.len() + "index.handler\n".len()).unwrap();
        assert_eq!(figures.program_bytes, bytes);
        assert!(figures.zip_bytes < bytes);
    }

    #[tokio::test]
    async fn a_peer_that_refuses_its_events_is_not_measured() {
        let unwilling = "exports.handler = async () => ({ statusCode: 401 });";
        let bundle = bundle(&[("index.js", unwilling), ("handler", "index.handler")]);
        let peer = Peer::open(bundle.path(), Subject::Verify, &[]).unwrap();
        let rig = Rig::new(&Checkout::here()).await.unwrap();
        let mut sandbox = peer.sandbox(&rig).await.unwrap();
        sandbox.ready().await.unwrap();
        let refused = peer.invoke(&rig, &mut sandbox, 1).await.unwrap_err();
        assert!(refused.to_string().contains("401"), "{refused}");
    }

    #[test]
    fn a_directory_that_is_no_bundle_is_refused_with_what_is_missing() {
        let open = |directory: &Path| {
            let refused = Peer::open(directory, Subject::Verify, &[]).unwrap_err();
            refused.to_string()
        };
        let empty = bundle(&[("index.js", "")]);
        assert!(open(empty.path()).contains("neither a program bootstrap nor a file handler"));
        assert!(open(&empty.path().join("gone")).contains("no such directory"));
        assert!(open(&empty.path().join("index.js")).contains("unpack the bundle"));
        let unnamed = bundle(&[("handler", "index")]);
        assert!(open(unnamed.path()).contains("such as index.handler"));
    }

    #[test]
    fn a_bootstrap_goes_before_a_handler() {
        let both = bundle(&[("bootstrap", "#!/bin/sh\n"), ("handler", "index.handler")]);
        let peer = Peer::open(both.path(), Subject::Verify, &[]).unwrap();
        assert!(matches!(peer.start, Start::Bootstrap(_)));
    }
}
