use proptest::prelude::*;

use super::names::cut;
use super::phrases::{Says, TABLE};
use super::{refused, stopped};
use crate::outcomes::Outcome;

/// Why tasks did not run, in ECS's text with names to fill in. The comments name the sources.
const STOPPED: &[(&str, Outcome)] = &[
    // localstack/localstack, recorded on AWS 2024-02-25: Docker Hub about an image that is not there.
    (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        Outcome::ImageMissing,
    ),
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
    (
        "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: not found",
        Outcome::ImageMissing,
    ),
    (
        "CannotPullContainerError: pull access denied for {image}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
        Outcome::ImageMissing,
    ),
    (
        "CannotPullContainerError: Error response from daemon: manifest for {image} not found: manifest unknown: Requested image not found",
        Outcome::ImageMissing,
    ),
    (
        "CannotPullContainerError: The task can’t pull the image '{image}' from Amazon Elastic Container Registry. Check that the role has the permissions to pull images from the registry.",
        Outcome::ImageMissing,
    ),
    (
        "CannotPullContainerError: The task cannot pull '{image}' from the Amazon ECR repository '{account}.dkr.ecr.{region}.amazonaws.com/x'. There is a connection issue between the task and Amazon ECR. Check your task network configuration.",
        Outcome::ImagePullFailed,
    ),
    (
        "CannotPullContainerError: API error (500): Get https://{account}.dkr.ecr.{region}.amazonaws.com/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
        Outcome::ImagePullFailed,
    ),
    (
        "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/{path}/manifests/{digest}: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit",
        Outcome::ImagePullFailed,
    ),
    (
        "CannotPullContainerError: pull command failed: panic: runtime error: invalid memory address or nil pointer dereference",
        Outcome::ImagePullFailed,
    ),
    // https://github.com/ActionIQ/terraform-aws-retool-ecs-fargate/issues/20
    (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: failed to do request: Head \"https://registry-1.docker.io/v2/{path}/manifests/2.110.5\": dial tcp {ip}:443: i/o timeout",
        Outcome::ImagePullFailed,
    ),
    (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: failed to do request: Head \"https://{account}.dkr.ecr.{region}.amazonaws.com/v2/{path}/manifests/1\": dial tcp: lookup {account}.dkr.ecr.{region}.amazonaws.com on {ip}:53: no such host",
        Outcome::ImagePullFailed,
    ),
    // A registry that is down also refuses.
    (
        "CannotPullContainerError: ref pull has been retried 5 time(s): failed to resolve ref {image}: failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://auth.docker.io/token: 503 Service Unavailable: 401 Unauthorized",
        Outcome::ImagePullFailed,
    ),
    // https://github.com/convox/rack/issues/1164
    (
        "CannotPullECRContainerError: ThrottlingException: Rate exceeded\n        status code: 400, request id: {request}",
        Outcome::ImagePullFailed,
    ),
    // https://github.com/aws-samples/bedrock-access-gateway/issues/114
    (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: unexpected status from HEAD request to https://{account}.dkr.ecr.{region}.amazonaws.com/v2/{path}/blobs/{digest}: 403 Forbidden",
        Outcome::ImageRefused,
    ),
    // https://github.com/aws/containers-roadmap/issues/1302
    (
        "CannotPullContainerError: inspect image has been retried 1 time(s): failed to resolve ref \"{image}\": unexpected status code [manifests 1]: 401 Unauthorized",
        Outcome::ImageRefused,
    ),
    (
        "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'",
        Outcome::ImageRefused,
    ),
    // https://github.com/OvertureMaps/overture-tiles/pull/20
    (
        "CannotPullECRContainerError: AccessDeniedException: User: arn:aws:sts::{account}:assumed-role/{path}/{task} is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
        Outcome::ImageRefused,
    ),
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 5 time(s): failed to fetch secret arn:aws:secretsmanager:{region}:{account}:secret:{path} from secrets manager: RequestCanceled: request context canceled caused by: context deadline exceeded. Please check your task network configuration.",
        Outcome::TaskNeverStarted,
    ),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): AccessDeniedException: User: arn:aws:sts::{account}:assumed-role/{path}/{task} is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action",
        Outcome::TaskRefused,
    ),
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/failed-to-start-error.html
    (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet '{subnet}': InsufficientFreeAddressesInSubnet",
        Outcome::NoCapacity,
    ),
    (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet '{subnet}': AuthFailure",
        Outcome::TaskNeverStarted,
    ),
    (
        "Rate limit exceeded while preparing network interface to be attached to instance",
        Outcome::Throttled,
    ),
    (
        "Timeout waiting for network interface provisioning to complete.",
        Outcome::TaskNeverStarted,
    ),
    (
        "Timeout waiting for EphemeralStorage provisioning to complete.",
        Outcome::TaskNeverStarted,
    ),
    (
        "Unable to attach network interface to unused device index",
        Outcome::NoCapacity,
    ),
    // https://github.com/aws/containers-roadmap/issues/1565: an interruption without a stop code.
    ("Your Spot Task was interrupted.", Outcome::SpotInterruption),
    (
        "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m",
        Outcome::TaskNeverStarted,
    ),
    (
        "CannotStartContainerError: failed to get container status: {task}",
        Outcome::TaskNeverStarted,
    ),
    ("Essential container in task exited", Outcome::Unknown),
    // An operator's own text about a task.
    ("Task stopped by {path}", Outcome::Unknown),
];

/// RunTask errors: the error's name as a state machine sees it, and its cause.
const REFUSED: &[(&str, &str, Outcome)] = &[
    // https://github.com/AllenInstitute/neuron_morphology/issues/151, cdklabs/construct-hub #708
    (
        "ECS.AmazonECSException",
        "Rate exceeded (Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException; Request ID: {request}; Proxy: null)",
        Outcome::Throttled,
    ),
    // https://github.com/dask/dask-cloudprovider/issues/56: EC2 throttles ECS's own look-up.
    (
        "ECS.InvalidParameterException",
        "Error retrieving security group information for [{sg}]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
        Outcome::Throttled,
    ),
    (
        "ECS.InvalidParameterException",
        "Error retrieving subnet information for [{subnet}]: Rate exceeded (ErrorCode: Throttling)",
        Outcome::Throttled,
    ),
    (
        "ECS.AmazonECSException",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        Outcome::NoCapacity,
    ),
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
    (
        "ECS.ClientException",
        "You've reached the limit on the number of tasks you can run concurrently (Service: AmazonECS; Status Code: 400; Error Code: ClientException; Request ID: {request}; Proxy: null)",
        Outcome::NoCapacity,
    ),
    (
        "AmazonECS.Unknown",
        "{\"Failures\":[{\"Arn\":\"arn:aws:ecs:{region}:{account}:container-instance/{task}\",\"Reason\":\"You’ve reached the limit on the number of vCPUs you can run concurrently\"}],\"Tasks\":[]}",
        Outcome::NoCapacity,
    ),
    (
        "AmazonECS.Unknown",
        "{\"Failures\":[{\"Arn\":\"arn:aws:ecs:{region}:{account}:container-instance/{task}\",\"Reason\":\"RESOURCE:ENI\"}],\"Tasks\":[]}",
        Outcome::NoCapacity,
    ),
    // https://github.com/DIAGNijmegen/rse-grand-challenge/pull/2013
    (
        "ECS.ClientException",
        "Tasks provisioning capacity limit exceeded.",
        Outcome::NoCapacity,
    ),
    (
        "AmazonECS.Unknown",
        "{\"Failures\":[{\"Arn\":\"arn:aws:ecs:{region}:{account}:container-instance/{task}\",\"Reason\":\"AGENT\"}],\"Tasks\":[]}",
        Outcome::TaskNeverStarted,
    ),
    // ECS on a deleted subnet, as public deployments quote it (found by searching for the text).
    (
        "ECS.InvalidParameterException",
        "Error retrieving subnet information for [{subnet}, {subnet}]: The subnet ID '{subnet}' does not exist (ErrorCode: InvalidSubnetID.NotFound)",
        Outcome::TaskRefused,
    ),
    (
        "ECS.InvalidParameterException",
        "Error retrieving security group information for [{sg}]: The security group '{sg}' does not exist (ErrorCode: InvalidGroup.NotFound)",
        Outcome::TaskRefused,
    ),
    (
        "ECS.InvalidParameterException",
        "Error retrieving security group information: com.amazonaws.SdkClientException: Unable to execute HTTP request: Connect to ec2.{region}.amazonaws.com:443 [ec2.{region}.amazonaws.com/{ip}] failed: connect timed out",
        Outcome::TaskNeverStarted,
    ),
    // https://github.com/serverless-operations/serverless-step-functions/pull/189
    (
        "ECS.AccessDeniedException",
        "User: arn:aws:sts::{account}:assumed-role/{path}/{task} is not authorized to perform: iam:PassRole on resource: arn:aws:iam::{account}:role/{path} (Service: AmazonECS; Status Code: 400; Error Code: AccessDeniedException; Request ID: {request})",
        Outcome::TaskRefused,
    ),
    // https://github.com/aws-samples/aws-modern-application-checkout/issues/88
    (
        "ECS.ClientException",
        "ECS was unable to assume the role 'arn:aws:iam::{account}:role/{path}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.",
        Outcome::TaskRefused,
    ),
    // The first call in an account creates this role; the next one finds it.
    (
        "ECS.InvalidParameterException",
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
        Outcome::TaskNeverStarted,
    ),
    (
        "ECS.ClusterNotFoundException",
        "Cluster not found.",
        Outcome::TaskRefused,
    ),
    (
        "ECS.ClientException",
        "TaskDefinition is inactive",
        Outcome::TaskRefused,
    ),
    (
        "ECS.InvalidParameterException",
        "Override for container named {path} is not a container in the TaskDefinition.",
        Outcome::TaskRefused,
    ),
    (
        "ECS.ServerException",
        "Service Unavailable. Please try again later.",
        Outcome::TaskNeverStarted,
    ),
    (
        "ECS.SdkClientException",
        "Unable to execute HTTP request",
        Outcome::TaskNeverStarted,
    ),
    // An unknown error is transient.
    (
        "ECS.ClientException",
        "Something that {path} has never said before",
        Outcome::TaskNeverStarted,
    ),
    (
        "ECS.InvalidParameterException",
        "",
        Outcome::TaskNeverStarted,
    ),
];

/// Names of an account's resources.
#[derive(Clone, Debug)]
struct Names {
    image: String,
    path: String,
    account: String,
    region: String,
    digest: String,
    request: String,
    task: String,
    subnet: String,
    sg: String,
    ip: String,
}

impl Names {
    fn plain() -> Self {
        Self {
            image: "111122223333.dkr.ecr.us-east-1.amazonaws.com/runner:1".into(),
            path: "library/runner".into(),
            account: "111122223333".into(),
            region: "us-east-1".into(),
            digest: format!("sha256:{}", "a1".repeat(32)),
            request: "1db00da3-2470-4c18-b97a-ffca0c6aa602".into(),
            task: "c13b4cb40f1f4fe4a2971f76ae5a47ad".into(),
            subnet: "subnet-0abc1234".into(),
            sg: "sg-05937427457b61ff5".into(),
            ip: "10.0.0.1".into(),
        }
    }

    fn fill(&self, text: &str) -> String {
        [
            ("{image}", &self.image),
            ("{path}", &self.path),
            ("{account}", &self.account),
            ("{region}", &self.region),
            ("{digest}", &self.digest),
            ("{request}", &self.request),
            ("{task}", &self.task),
            ("{subnet}", &self.subnet),
            ("{sg}", &self.sg),
            ("{ip}", &self.ip),
        ]
        .iter()
        .fold(text.to_owned(), |text, (place, name)| {
            text.replace(place, name)
        })
    }
}

/// Names made of what the table looks for.
fn names() -> impl Strategy<Value = Names> {
    let part = prop::sample::select(vec![
        "build-agent",
        "vcpu-tools",
        "403",
        "401-forbidden",
        "not-found",
        "denied",
        "throttling",
        "rate-exceeded",
        "capacity",
        "is-unavailable",
        "i/o/timeout",
        "eof",
        "timeout",
        "internalerror",
        "toomanyrequests",
        "429",
        "no-such-host",
        "forbidden",
        "unauthorized",
        "accessdenied",
        "cannotpullcontainererror",
        "resource",
        "outofmemory",
        "does-not-exist",
        "manifest-unknown",
        "requestlimitexceeded",
        "503",
        "runner",
    ]);
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let tag = prop::sample::select(vec![
        "latest",
        "403",
        "forbidden",
        "v1.2.3",
        "not-found",
        "eof",
    ]);
    let registry = prop::sample::select(vec![
        "docker.io",
        "ghcr.io",
        "403401429503.dkr.ecr.eu-west-1.amazonaws.com",
        "registry.timeout.example:5000",
    ]);
    let region = prop::sample::select(vec![
        "us-east-1",
        "eu-central-1",
        "ap-southeast-3",
        "us-gov-west-1",
    ]);
    let ip = "[1-9][0-9]{0,2}\\.[0-9]{1,3}\\.40[13]\\.[0-9]{1,3}";
    (
        (registry, path.clone(), tag),
        path.prop_map(|path| format!("library/{path}")),
        prop_oneof!["[0-9]{12}", "[0-9]{4}40[134][0-9]{2}429"],
        region,
        prop_oneof!["[0-9a-f]{64}", "(403|401|404|429|500|503){21}a"],
        "(403|[0-9a-f]{3})[0-9a-f]{5}-401[0-9a-f]-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{9}(403|429|503)",
        prop_oneof!["[0-9a-f]{31}[0-9]", "403[0-9a-f]{26}401"],
        "subnet-(403|429|[0-9a-f]{3})[0-9a-f]{14}",
        "sg-(403|429|[0-9a-f]{3})[0-9a-f]{14}",
        ip,
    )
        .prop_map(
            |((registry, image, tag), path, account, region, digest, request, task, subnet, sg, ip)| Names {
                image: format!("{registry}/{image}:{tag}"),
                path,
                account,
                region: region.to_owned(),
                digest: format!("sha256:{digest}"),
                request,
                task,
                subnet,
                sg,
                ip,
            },
        )
}

#[test]
fn what_ecs_says_of_a_stopped_task_has_its_outcome() {
    for (text, outcome) in STOPPED {
        let text = Names::plain().fill(text);
        assert_eq!(stopped(&text), *outcome, "{text}\n{}", cut(&text));
    }
}

#[test]
fn what_run_task_is_refused_with_has_its_outcome() {
    for (name, cause, outcome) in REFUSED {
        let cause = Names::plain().fill(cause);
        assert_eq!(
            refused(name, &cause),
            *outcome,
            "{name}: {cause}\n{}",
            cut(&cause)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_name_of_an_account_changes_an_outcome(names in names()) {
        for (text, outcome) in STOPPED {
            let text = names.fill(text);
            prop_assert_eq!(stopped(&text), *outcome, "{}\n{}", &text, cut(&text));
        }
        for (name, cause, outcome) in REFUSED {
            let cause = names.fill(cause);
            prop_assert_eq!(refused(name, &cause), *outcome, "{}: {}\n{}", name, &cause, cut(&cause));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), quoted in "['`\\[\\]\"a· ]{0,40}") {
        for text in [text, quoted] {
            let _ = (stopped(&text), refused("ECS.ClientException", &text));
            prop_assert_eq!(cut(&cut(&text)), cut(&text));
        }
    }
}

#[test]
fn every_phrase_can_be_found_and_has_a_source() {
    for phrase in TABLE {
        assert_eq!(cut(phrase.words), phrase.words, "would be cut");
        assert!(phrase.source.starts_with("https://"), "{}", phrase.words);
        let twice = TABLE
            .iter()
            .filter(|other| other.words == phrase.words && other.says == phrase.says);
        assert_eq!(twice.count(), 1, "{} stands twice", phrase.words);
    }
}

#[test]
fn every_phrase_decides_something() {
    for phrase in TABLE {
        let spoken = format!("Reason: {}.", phrase.words.replace('·', "'x'"));
        let spoken = spoken.replace("resource'x'", "RESOURCE:GPU");
        let pulled = format!("CannotPullContainerError: {spoken}");
        let (started, run, pulled) = (
            stopped(&spoken),
            refused("ECS.ClientException", &spoken),
            stopped(&pulled),
        );
        match phrase.says {
            Says::Throttled => assert_eq!(
                (started, run),
                (Outcome::Throttled, Outcome::Throttled),
                "{spoken}"
            ),
            Says::NoRoom => assert_eq!(
                (started, run),
                (Outcome::NoCapacity, Outcome::NoCapacity),
                "{spoken}"
            ),
            Says::TakenBack => assert_eq!(started, Outcome::SpotInterruption, "{spoken}"),
            Says::OutOfMemory => assert_eq!(started, Outcome::OutOfMemory, "{spoken}"),
            Says::NoNetwork => assert_eq!(
                (started, run),
                (Outcome::TaskRefused, Outcome::TaskRefused),
                "{spoken}"
            ),
            Says::Denied => assert_eq!(
                (started, run, pulled),
                (
                    Outcome::TaskRefused,
                    Outcome::TaskRefused,
                    Outcome::ImageRefused
                ),
                "{spoken}"
            ),
            Says::Malformed => assert_eq!(run, Outcome::TaskRefused, "{spoken}"),
            Says::Pull => assert!(
                matches!(started, Outcome::ImagePullFailed | Outcome::ImageMissing),
                "{spoken}"
            ),
            Says::Transport => assert_eq!(pulled, Outcome::ImagePullFailed, "{spoken}"),
            Says::PullRefused => assert_eq!(pulled, Outcome::ImageRefused, "{spoken}"),
            Says::PullMissing => assert_eq!(pulled, Outcome::ImageMissing, "{spoken}"),
            Says::NotStarted => assert_eq!(started, Outcome::TaskNeverStarted, "{spoken}"),
        }
    }
}

#[test]
fn what_a_task_is_tagged_with_is_no_reason() {
    let cause = r#"{"Failures":[{"Reason":"RESOURCE:MEMORY"}],"Tasks":[{"Tags":[{"Key":"GH:workflow","Value":"rate exceeded, not authorized to perform"}]}]}"#;
    assert_eq!(refused("AmazonECS.Unknown", cause), Outcome::NoCapacity);
}

#[test]
fn names_are_cut_and_words_are_left() {
    for (text, left) in [
        (
            "pull access denied for busybox, repository does not exist",
            "pull access denied for · repository does not exist",
        ),
        (
            "failed to resolve ref x/y:1: not found",
            "failed to resolve ref · not found",
        ),
        (
            "failed to resolve ref: not found",
            "failed to resolve ref not found",
        ),
        (
            "You’ve reached the limit, aren't you",
            "you've reached the limit aren't you",
        ),
        (
            "subnets [subnet-a, subnet-b] in 'my forbidden vpc'",
            "subnets · in ·",
        ),
        (
            "dial tcp 10.0.0.1:443: i/o timeout",
            "dial tcp · i/o timeout",
        ),
        (
            "(Request ID: 403-401; Proxy: null)",
            "request id · proxy null",
        ),
    ] {
        assert_eq!(cut(text), left);
    }
}
