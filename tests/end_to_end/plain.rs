//! The plain `CloudFormation` template: deployed by `CloudFormation` alone, without CDK and without a
//! bootstrap, with the zips in a bucket of the user's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use github_standin::{Config, NewJob, Server};
use local_stack::{Aws, Deployment, Engine, EngineOptions, Plan, REGION};
use release::VERSION;
use system_tests::Recorder;
use tooling::{Architecture, Checkout, Progress};

use crate::harness::{LIMIT, WAIT_SCALE, assert_succeeded, script, site_of};

const BUCKET: &str = "of-the-user";
const STACK: &str = "plain";
/// What the functions ask in the template. GitHub is not reachable from here, so the stand-in's address
/// takes its place; nothing else of the template is changed.
const GITHUB: &str = "https://api.github.com";

#[test]
fn the_plain_template_deploys_without_cdk_and_its_job_succeeds() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (checkout, progress) = (Checkout::here(), Progress::new());
        // An engine of its own: the template names its deployment `fargate-runners`, as the app does.
        let options = EngineOptions {
            port: 0,
            wait_scale: WAIT_SCALE,
            control: false,
            enforce_iam: true,
            directory: checkout.local().join("engine-of-plain-template"),
        };
        let engine = Engine::start(&checkout, &options).await.unwrap();
        let here = Architecture::here();
        let step = progress.step("plain template");
        let files = engine.directory().join("release");
        let programs = files.join("package/assets/lambda");
        fs::create_dir_all(&programs).unwrap();
        symlink(checkout.handlers(), programs.join(here.to_string())).unwrap();
        let templates = release::templates(&checkout, &step, &files, &[here]).unwrap();

        let github = Server::start(Config::default()).await.unwrap();
        let recorder = Recorder::start(github.url()).await.unwrap();
        let template = fs::read_to_string(&templates[0]).unwrap();
        assert!(template.contains(GITHUB));
        let template = template.replace(GITHUB, &recorder.url);

        let bucket = Bucket::new(&engine).await;
        for name in checkout.functions().unwrap() {
            let zip = files.join("function.zip");
            zipped(&checkout.handlers().join(&name).join("bootstrap"), &zip);
            let key = format!("v{VERSION}/{}", release::function_zip(&name, here));
            bucket.put(&key, fs::read(&zip).unwrap()).await;
        }
        let url = bucket.put("template.json", template.into_bytes()).await;
        let aws = engine.aws().unwrap();
        create(&aws, &url).await;
        let outputs = created(&aws).await;
        step.done(&outputs["Version"]);
        assert_eq!(outputs["Version"], VERSION);

        let deployment = Deployment::deployed(
            &engine,
            &Plan::new("fargate-runners", "fr"),
            Path::new("no assembly").to_owned(),
            outputs,
            Arc::new(github),
        )
        .unwrap();
        deployment.write_secrets().await.unwrap();
        let site = site_of(deployment, recorder);
        // The template's runner is for x64.
        let labels = ["self-hosted", "linux", "x64"].map(str::to_owned).to_vec();
        let job = NewJob {
            labels,
            ..script("octo/plain", "echo hello from CloudFormation")
        };
        let (job, execution) = site.run(job).await;
        assert_succeeded(&execution);
        assert_eq!(job.output.trim(), "hello from CloudFormation");
        site.nothing_left_of(&job).await;
        engine.stop().await.unwrap();
    });
}

/// Zips a function's program without compressing it: unoptimized ones take a minute to compress.
fn zipped(program: &Path, zip: &Path) {
    const SCRIPT: &str =
        "import sys, zipfile; zipfile.ZipFile(sys.argv[2], 'w').write(sys.argv[1], 'bootstrap')";
    let made = std::process::Command::new("python3")
        .args(["-c", SCRIPT])
        .args([program, zip])
        .status()
        .unwrap();
    assert!(made.success(), "{made}");
}

/// A bucket of the user's.
struct Bucket {
    http: reqwest::Client,
    url: String,
}

impl Bucket {
    async fn new(engine: &Engine) -> Self {
        let bucket = Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: format!("{}/{BUCKET}", engine.endpoint()),
        };
        bucket.send(&bucket.url, Vec::new()).await;
        bucket
    }

    /// Uploads a file; its address.
    async fn put(&self, key: &str, content: Vec<u8>) -> String {
        let url = format!("{}/{key}", self.url);
        self.send(&url, content).await;
        url
    }

    async fn send(&self, url: &str, content: Vec<u8>) {
        let scope = format!("test/20260101/{REGION}/s3/aws4_request");
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let answer = self
            .http
            .put(url)
            .header("authorization", authorization)
            .body(content)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{url}: {answer:?}");
    }
}

/// Creates the stack, as `aws cloudformation create-stack` does.
async fn create(aws: &Aws, template: &str) {
    let prefix = format!("v{VERSION}/");
    let parameters = [
        ("AllowedOwners", "octo"),
        ("FunctionsBucket", BUCKET),
        ("FunctionsPrefix", &prefix),
        ("Image", "local/ubuntu-runner"),
    ];
    let mut input = vec![
        ("StackName".to_owned(), STACK),
        ("TemplateURL".to_owned(), template),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM"),
    ];
    for (index, (name, value)) in parameters.iter().enumerate() {
        let member = format!("Parameters.member.{}", index + 1);
        input.push((format!("{member}.ParameterKey"), name));
        input.push((format!("{member}.ParameterValue"), value));
    }
    let input: Vec<_> = input
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    aws.query("cloudformation", "2010-05-15", "CreateStack", &input)
        .await
        .unwrap();
}

/// Waits until the stack is there; its outputs.
async fn created(aws: &Aws) -> BTreeMap<String, String> {
    let until = tokio::time::Instant::now() + LIMIT;
    loop {
        let input = [("StackName", STACK)];
        let told = aws
            .query("cloudformation", "2010-05-15", "DescribeStacks", &input)
            .await
            .unwrap();
        match element(&told, "StackStatus") {
            "CREATE_COMPLETE" => return outputs(&told),
            "CREATE_IN_PROGRESS" => {}
            other => {
                let events = aws
                    .query(
                        "cloudformation",
                        "2010-05-15",
                        "DescribeStackEvents",
                        &input,
                    )
                    .await;
                panic!("{other}: {events:?}");
            }
        }
        assert!(tokio::time::Instant::now() < until, "{told}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

fn outputs(told: &str) -> BTreeMap<String, String> {
    let members = told.split("<OutputKey>").skip(1);
    let outputs: BTreeMap<_, _> = members
        .map(|member| {
            let (key, _) = member.split_once("</OutputKey>").unwrap();
            let value = element(member, "OutputValue").replace("&amp;", "&");
            (key.to_owned(), value)
        })
        .collect();
    assert!(outputs.contains_key("WebhookUrl"), "{told}");
    outputs
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split_once('<').unwrap_or_default().0
}
