//! The phrases of ECS, EC2, containerd and registries, and their meanings.
//!
//! A phrase is in lower case without punctuation, as [`cut`](super::names::cut) leaves a text, and
//! matches only whole words. `·` stands for a name. A new phrase needs a source: AWS's page, a
//! recorded response, a public report that quotes it, or the code that produces it.

/// The meaning of a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// ECS throttled the call, or EC2 throttled ECS. Ends within seconds or minutes.
    Throttled,
    /// No capacity, no address, or a concurrency quota. Ends when other tasks end; another place
    /// may have room.
    NoRoom,
    /// The capacity was taken back before the runner had a job.
    TakenBack,
    /// The task needed more memory than it has.
    OutOfMemory,
    /// A subnet or security group does not exist, or they do not belong together.
    NoNetwork,
    /// A missing permission: of the state machine's, the execution's or the task's role.
    Denied,
    /// An invalid request, which would be rejected again.
    Malformed,
    /// An image pull failed; other phrases say why.
    Pull,
    /// The other side was unreachable, busy or disconnected. Transient.
    Transport,
    /// The registry rejects the pull, or the image is for another platform. Permanent.
    PullRefused,
    /// No such image, or not yet: a registry says the same about an image that it hides.
    PullMissing,
    /// The task did not start, for a reason that may be transient.
    NotStarted,
}

/// A phrase.
pub(super) struct Phrase {
    pub(super) says: Says,
    pub(super) words: &'static str,
    /// Its source.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "documentation, and used by the tests")
    )]
    pub(super) source: &'static str,
}

const fn phrase(says: Says, words: &'static str, source: &'static str) -> Phrase {
    Phrase {
        says,
        words,
        source,
    }
}

const STOPPED: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html";
const PULL: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html";
const START: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/failed-to-start-error.html";
const INIT: &str = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html";
const FAILURES: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html";
const SERVICE: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html";
const RUN_TASK: &str = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html";
const THROTTLING: &str = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/operating-at-scale-dealing-with-throttles.html";
const EC2: &str = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html";
const SPOT: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html";
const STEP_FUNCTIONS: &str = "https://github.com/cdklabs/construct-hub/issues/708";
const SECURITY_GROUP: &str = "https://github.com/dask/dask-cloudprovider/issues/56";
const PROVISIONING: &str = "https://github.com/DIAGNijmegen/rse-grand-challenge/pull/2013";
const REGISTRY: &str = "https://distribution.github.io/distribution/spec/api/#errors";
const HUB: &str = "https://docs.docker.com/docker-hub/usage/";
const CONTAINERD: &str = "https://github.com/containerd/containerd/tree/main/core/remotes/docker";
const FORBIDDEN: &str = "https://github.com/aws/aws-cdk/issues/14457";
const UNAUTHORIZED: &str = "https://github.com/aws/containers-roadmap/issues/1302";
const RECORDED: &str = "https://github.com/localstack/localstack/blob/main/tests/aws/services/stepfunctions/v2/services/test_ecs_task_service.snapshot.json";
const ECR: &str =
    "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html";
const IAM: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html";
const ROLE: &str = "https://github.com/aws-samples/aws-modern-application-checkout/issues/88";
const KMS: &str = "https://github.com/GiamPy5/terraform-aws-directus/issues/10";
const GO_NET: &str = "https://github.com/golang/go/blob/master/src/net/net.go";
const GO_HTTP: &str = "https://github.com/golang/go/blob/master/src/net/http/client.go";
const HTTP: &str = "https://www.rfc-editor.org/rfc/rfc9110#section-15";
const SDK_GO: &str = "https://github.com/aws-samples/aws-app-mesh-examples/issues/413";
const MOTO: &str = "https://github.com/getmoto/moto/blob/master/moto/ecs/models.py";
const FARGATE_SIZE: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html";
const BATCH: &str = "https://github.com/dagster-io/dagster/blob/master/python_modules/libraries/dagster-aws/dagster_aws/ecs/utils.py";
const SLR: &str = "https://github.com/jonrau1/ElectricEye/issues/9";

/// All phrases, by meaning.
pub(super) const TABLE: &[Phrase] = &[
    // Throttled: ECS throttled the call, or EC2 throttled ECS.
    phrase(Says::Throttled, "rate exceeded", STEP_FUNCTIONS),
    phrase(Says::Throttled, "throttlingexception", STEP_FUNCTIONS),
    phrase(Says::Throttled, "throttling", SECURITY_GROUP),
    phrase(Says::Throttled, "request limit exceeded", SECURITY_GROUP),
    phrase(Says::Throttled, "requestlimitexceeded", SECURITY_GROUP),
    phrase(Says::Throttled, "rate limit exceeded", THROTTLING),
    phrase(Says::Throttled, "exceeded its request rate limit", EC2),
    phrase(Says::Throttled, "toomanyrequestsexception", THROTTLING),
    phrase(Says::Throttled, "requestthrottled", THROTTLING),
    phrase(Says::Throttled, "slowdown", EC2),
    phrase(Says::Throttled, "operations are being throttled", SERVICE),
    // NoRoom: no capacity, no address, or a concurrency quota.
    phrase(Says::NoRoom, "capacity is unavailable", SERVICE),
    phrase(Says::NoRoom, "capacity unavailable", SERVICE),
    phrase(Says::NoRoom, "no capacity", SERVICE),
    phrase(Says::NoRoom, "insufficient capacity", EC2),
    phrase(Says::NoRoom, "insufficientinstancecapacity", EC2),
    phrase(Says::NoRoom, "instancelimitexceeded", EC2),
    phrase(Says::NoRoom, "vcpulimitexceeded", EC2),
    phrase(Says::NoRoom, "maxspotinstancecountexceeded", EC2),
    phrase(Says::NoRoom, "unfulfillablecapacity", EC2),
    phrase(
        Says::NoRoom,
        "limit on the number of tasks you can run",
        SERVICE,
    ),
    phrase(
        Says::NoRoom,
        "limit on the number of vcpus you can run",
        SERVICE,
    ),
    phrase(
        Says::NoRoom,
        "cpu configuration is above your limit",
        SERVICE,
    ),
    phrase(
        Says::NoRoom,
        "memory configuration is above your limit",
        SERVICE,
    ),
    phrase(
        Says::NoRoom,
        "tasks provisioning capacity limit exceeded",
        PROVISIONING,
    ),
    phrase(Says::NoRoom, "resource·", FAILURES),
    phrase(Says::NoRoom, "no container instances were found", SERVICE),
    phrase(
        Says::NoRoom,
        "no container instance met all of its requirements",
        SERVICE,
    ),
    phrase(Says::NoRoom, "insufficientfreeaddressesinsubnet", EC2),
    phrase(Says::NoRoom, "does not have enough free addresses", EC2),
    phrase(Says::NoRoom, "insufficient free addresses", EC2),
    phrase(Says::NoRoom, "insufficient free ip addresses", EC2),
    phrase(Says::NoRoom, "sufficient free addresses", EC2),
    phrase(Says::NoRoom, "insufficientcidrblocks", EC2),
    phrase(Says::NoRoom, "networkinterfacelimitexceeded", EC2),
    phrase(Says::NoRoom, "eni limit", EC2),
    phrase(Says::NoRoom, "number of network interfaces", EC2),
    phrase(Says::NoRoom, "privateipaddresslimitexceeded", EC2),
    phrase(Says::NoRoom, "addresslimitexceeded", EC2),
    phrase(Says::NoRoom, "insufficientaddresscapacity", EC2),
    phrase(
        Says::NoRoom,
        "attach network interface to unused device index",
        START,
    ),
    // TakenBack: the capacity was taken back before the runner had a job.
    phrase(Says::TakenBack, "spot task was interrupted", SPOT),
    phrase(Says::TakenBack, "spotinterruptionerror", STOPPED),
    phrase(Says::TakenBack, "spotinterruption", SPOT),
    // OutOfMemory: the task needed more memory than it has.
    phrase(Says::OutOfMemory, "outofmemoryerror", STOPPED),
    phrase(Says::OutOfMemory, "outofmemory", STOPPED),
    phrase(
        Says::OutOfMemory,
        "container killed due to memory usage",
        STOPPED,
    ),
    // NoNetwork: a subnet or security group does not exist, or they do not belong together.
    phrase(
        Says::NoNetwork,
        "subnet id · does not exist",
        SECURITY_GROUP,
    ),
    phrase(Says::NoNetwork, "invalidsubnetid.notfound", EC2),
    phrase(Says::NoNetwork, "invalidsubnetid.malformed", EC2),
    phrase(Says::NoNetwork, "invalidsubnet", EC2),
    phrase(
        Says::NoNetwork,
        "security group · does not exist",
        SECURITY_GROUP,
    ),
    phrase(Says::NoNetwork, "invalidgroup.notfound", EC2),
    phrase(Says::NoNetwork, "invalidgroupid.malformed", EC2),
    phrase(Says::NoNetwork, "invalidsecuritygroupid.notfound", EC2),
    phrase(Says::NoNetwork, "invalidsecuritygroupid.malformed", EC2),
    phrase(
        Says::NoNetwork,
        "two resources that belong to different networks",
        EC2,
    ),
    phrase(Says::NoNetwork, "invalidvpcid.notfound", EC2),
    phrase(
        Says::NoNetwork,
        "securitygroupspernetworkinterfacelimitexceeded",
        EC2,
    ),
    phrase(Says::NoNetwork, "subnets can not be empty", MOTO),
    // Denied: a missing permission.
    phrase(Says::Denied, "not authorized to perform", IAM),
    phrase(Says::Denied, "is not authorized", IAM),
    phrase(Says::Denied, "accessdenied", IAM),
    phrase(Says::Denied, "accessdeniedexception", IAM),
    phrase(Says::Denied, "unauthorizedoperation", EC2),
    phrase(Says::Denied, "explicit deny", IAM),
    phrase(Says::Denied, "no identity based policy allows", IAM),
    phrase(Says::Denied, "unable to assume the role", ROLE),
    phrase(Says::Denied, "access to kms is not allowed", KMS),
    // Malformed: an invalid request, which would be rejected again.
    phrase(Says::Malformed, "taskdefinition is inactive", RUN_TASK),
    phrase(Says::Malformed, "taskdefinition not found", PROVISIONING),
    phrase(Says::Malformed, "unable to describe task definition", MOTO),
    phrase(Says::Malformed, "cluster not found", RUN_TASK),
    phrase(Says::Malformed, "cluster is inactive", RUN_TASK),
    phrase(
        Says::Malformed,
        "network configuration must be provided",
        MOTO,
    ),
    phrase(
        Says::Malformed,
        "network configuration is not valid",
        RUN_TASK,
    ),
    phrase(
        Says::Malformed,
        "capacity provider that is not associated with the cluster",
        RUN_TASK,
    ),
    phrase(
        Says::Malformed,
        "not compatible with the selected compute strategy",
        START,
    ),
    phrase(
        Says::Malformed,
        "task definition does not support launch",
        RUN_TASK,
    ),
    phrase(
        Says::Malformed,
        "task definition is not compatible with",
        RUN_TASK,
    ),
    phrase(
        Says::Malformed,
        "no fargate configuration exists for given values",
        FARGATE_SIZE,
    ),
    phrase(
        Says::Malformed,
        "invalid cpu or memory value specified",
        FARGATE_SIZE,
    ),
    phrase(
        Says::Malformed,
        "is not a container in the taskdefinition",
        RUN_TASK,
    ),
    phrase(
        Says::Malformed,
        "container overrides length must be at most",
        RUN_TASK,
    ),
    phrase(Says::Malformed, "failed to satisfy constraint", RUN_TASK),
    phrase(Says::Malformed, "validation error detected", RUN_TASK),
    phrase(
        Says::Malformed,
        "requires task definition to have execution role",
        RUN_TASK,
    ),
    phrase(Says::Malformed, "duplicate tag keys", RUN_TASK),
    phrase(Says::Malformed, "contains invalid characters", RUN_TASK),
    phrase(Says::Malformed, "can not have more than", RUN_TASK),
    // Pull: an image pull failed; other phrases say why.
    phrase(Says::Pull, "cannotpullcontainererror", PULL),
    phrase(Says::Pull, "cannotpullcontainer", PULL),
    phrase(Says::Pull, "cannotpullecrcontainererror", PULL),
    phrase(Says::Pull, "cannotpullimagemanifesterror", PULL),
    phrase(Says::Pull, "task cannot pull", PULL),
    phrase(Says::Pull, "task can't pull", PULL),
    phrase(Says::Pull, "pull image manifest has been retried", PULL),
    phrase(Says::Pull, "ref pull has been retried", PULL),
    phrase(Says::Pull, "inspect image has been retried", PULL),
    phrase(Says::Pull, "pull command failed", PULL),
    phrase(Says::Pull, "pull access denied", PULL),
    phrase(Says::Pull, "failed to resolve ref", PULL),
    phrase(Says::Pull, "failed to resolve reference", CONTAINERD),
    phrase(Says::Pull, "error pulling image", PULL),
    // Transport: the other side was unreachable, busy or disconnected. Transient.
    phrase(Says::Transport, "i/o timeout", GO_NET),
    phrase(Says::Transport, "no such host", GO_NET),
    phrase(Says::Transport, "connection refused", GO_NET),
    phrase(Says::Transport, "connection reset", GO_NET),
    phrase(Says::Transport, "connection timed out", GO_NET),
    phrase(Says::Transport, "connect timed out", SECURITY_GROUP),
    phrase(Says::Transport, "network is unreachable", GO_NET),
    phrase(Says::Transport, "no route to host", GO_NET),
    phrase(Says::Transport, "broken pipe", GO_NET),
    phrase(Says::Transport, "server misbehaving", GO_NET),
    phrase(
        Says::Transport,
        "temporary failure in name resolution",
        GO_NET,
    ),
    phrase(Says::Transport, "unexpected eof", GO_NET),
    phrase(Says::Transport, "eof", GO_NET),
    phrase(Says::Transport, "timeout", GO_NET),
    phrase(Says::Transport, "timed out", GO_NET),
    phrase(Says::Transport, "tls handshake timeout", GO_HTTP),
    phrase(Says::Transport, "use of closed network connection", GO_NET),
    phrase(
        Says::Transport,
        "client.timeout exceeded while awaiting headers",
        GO_HTTP,
    ),
    phrase(Says::Transport, "context deadline exceeded", GO_HTTP),
    phrase(Says::Transport, "context canceled", PULL),
    phrase(Says::Transport, "request canceled", PULL),
    phrase(Says::Transport, "requestcanceled", INIT),
    phrase(Says::Transport, "requesterror", SDK_GO),
    phrase(Says::Transport, "send request failed", SDK_GO),
    phrase(Says::Transport, "unable to execute http request", SDK_GO),
    phrase(Says::Transport, "toomanyrequests", REGISTRY),
    phrase(Says::Transport, "too many requests", HTTP),
    phrase(Says::Transport, "pull rate limit", PULL),
    phrase(Says::Transport, "rate limit", HUB),
    phrase(Says::Transport, "internal server error", HTTP),
    phrase(Says::Transport, "bad gateway", HTTP),
    phrase(Says::Transport, "service unavailable", HTTP),
    phrase(Says::Transport, "gateway timeout", HTTP),
    phrase(Says::Transport, "gateway time-out", HTTP),
    phrase(Says::Transport, "serviceunavailable", EC2),
    phrase(Says::Transport, "authorization token has expired", ECR),
    phrase(
        Says::Transport,
        "check your task network configuration",
        PULL,
    ),
    phrase(Says::Transport, "check your network configuration", PULL),
    phrase(
        Says::Transport,
        "connection issue between the task and amazon ecr",
        PULL,
    ),
    phrase(
        Says::Transport,
        "invalid memory address or nil pointer dereference",
        PULL,
    ),
    // PullRefused: the registry rejects the pull, or the image is for another platform. Permanent.
    phrase(Says::PullRefused, "forbidden", FORBIDDEN),
    phrase(Says::PullRefused, "unauthorized", UNAUTHORIZED),
    phrase(Says::PullRefused, "no basic auth credentials", ECR),
    phrase(Says::PullRefused, "incorrect username or password", HUB),
    phrase(Says::PullRefused, "authentication required", REGISTRY),
    phrase(Says::PullRefused, "invalid reference format", CONTAINERD),
    phrase(
        Says::PullRefused,
        "does not contain descriptor matching platform",
        PULL,
    ),
    phrase(
        Says::PullRefused,
        "no match for platform in manifest",
        CONTAINERD,
    ),
    phrase(Says::PullRefused, "no matching manifest", REGISTRY),
    phrase(
        Says::PullRefused,
        "does not match the current platform",
        PULL,
    ),
    // PullMissing: no such image, or not yet.
    phrase(Says::PullMissing, "not found", PULL),
    phrase(Says::PullMissing, "manifest unknown", REGISTRY),
    phrase(Says::PullMissing, "manifest_unknown", REGISTRY),
    phrase(Says::PullMissing, "name unknown", REGISTRY),
    phrase(Says::PullMissing, "name_unknown", REGISTRY),
    phrase(Says::PullMissing, "does not exist", RECORDED),
    phrase(Says::PullMissing, "pull access denied", RECORDED),
    phrase(Says::PullMissing, "insufficient_scope", RECORDED),
    phrase(
        Says::PullMissing,
        "requested access to the resource is denied",
        REGISTRY,
    ),
    phrase(Says::PullMissing, "no such image", REGISTRY),
    phrase(Says::PullMissing, "no such manifest", REGISTRY),
    phrase(
        Says::PullMissing,
        "check that the role has the permissions to pull images",
        PULL,
    ),
    // NotStarted: the task did not start, for a reason that may be transient.
    phrase(Says::NotStarted, "resourceinitializationerror", INIT),
    phrase(Says::NotStarted, "resourcenotfoundexception", STOPPED),
    phrase(Says::NotStarted, "internalerror", STOPPED),
    phrase(Says::NotStarted, "internal error", SERVICE),
    phrase(Says::NotStarted, "containerruntimeerror", STOPPED),
    phrase(Says::NotStarted, "containerruntimetimeouterror", STOPPED),
    phrase(Says::NotStarted, "dockertimeouterror", STOPPED),
    phrase(Says::NotStarted, "cannotstartcontainererror", STOPPED),
    phrase(Says::NotStarted, "cannotcreatecontainererror", STOPPED),
    phrase(Says::NotStarted, "cannotcreatevolumeerror", STOPPED),
    phrase(Says::NotStarted, "cannotinspectcontainererror", STOPPED),
    phrase(Says::NotStarted, "cannotstopcontainererror", STOPPED),
    phrase(Says::NotStarted, "taskfailedtostart", STOPPED),
    phrase(Says::NotStarted, "failed to start", STOPPED),
    phrase(
        Says::NotStarted,
        "timeout waiting for network interface provisioning",
        BATCH,
    ),
    phrase(
        Says::NotStarted,
        "timeout waiting for ephemeralstorage provisioning",
        BATCH,
    ),
    phrase(Says::NotStarted, "unexpected ec2 error", START),
    phrase(Says::NotStarted, "network interface provision", START),
    phrase(
        Says::NotStarted,
        "unable to assume the service linked role",
        SLR,
    ),
];
