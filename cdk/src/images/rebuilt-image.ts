import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as codebuild from "aws-cdk-lib/aws-codebuild";
import * as ecr from "aws-cdk-lib/aws-ecr";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as events from "aws-cdk-lib/aws-events";
import { CodeBuildProject } from "aws-cdk-lib/aws-events-targets";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { Construct } from "constructs";
import { acknowledge } from "../acknowledge";
import { allow, give } from "../permission";
import { Roles } from "../roles";
import { RunnerHost } from "../runners/host";
import { RunnerArchitecture } from "../runners/runner-architecture";
import { agentCommand, prebuiltContext } from "./build-context";
import { PINNED } from "./pinned";

/** How an image is rebuilt. */
export interface RebuildOptions {
  /**
   * When, besides after each deployment.
   * @default - Sundays at 03:00 UTC
   */
  readonly schedule?: events.Schedule;
  /**
   * The compiled agent for the runner's processor.
   * @default - where `cargo xtask zips` leaves it, or what the package carries
   */
  readonly agentFile?: string;
  /**
   * How the image's layers are packed. zstd unpacks faster than gzip, so that a runner starts
   * sooner; ECS on Fargate and on current instances understands both. Lazy loading (SOCI) needs gzip.
   * @default "zstd"; gzip where its packer can't be pulled from Docker Hub
   */
  readonly compression?: "gzip" | "zstd";
}

/** What an image that is rebuilt by itself is made from. */
export interface RebuiltImageProps extends RebuildOptions {
  /** The deployment that the image belongs to. */
  readonly runners: RunnerHost;
  /** What the image is called in the log. */
  readonly name: string;
  /**
   * The processor.
   * @default "x64"
   */
  readonly architecture?: RunnerArchitecture;
}

/**
 * The image of `images/ubuntu`, built inside AWS: after each deployment and every week, with the
 * newest runner and the newest packages. GitHub gives no jobs to a runner that is 30 days behind.
 * An image is used only after its agent and its listener have started; until then, and if they
 * don't, runners get the one before.
 *
 * The deploying machine needs no Docker. Until the first build has finished, about five minutes
 * after the first deployment, runners can't start.
 */
export class RebuiltImage extends Construct {
  /** For the `image` of runners. */
  readonly image: ecs.ContainerImage;
  /** Where the images are kept. */
  readonly repository: ecr.Repository;
  /** What builds them. */
  readonly project: codebuild.Project;
  /** The SSM parameter in which a build leaves the version of the runner that it installed. */
  readonly versionParameter: string;

  constructor(scope: Construct, id: string, props: RebuiltImageProps) {
    super(scope, id);
    const { runners } = props;
    const architecture = props.architecture ?? "x64";
    const context = prebuiltContext(architecture, props.agentFile);
    if (context === undefined) {
      throw new Error(
        `A rebuilt image contains the agent, which is not compiled for ${architecture}. Build it: ` +
          agentCommand(architecture),
      );
    }
    this.versionParameter = `${runners.names.runnerVersions}/${props.name}`;
    this.repository = new ecr.Repository(this, "Repository", {
      imageScanOnPush: true,
      encryption: ecr.RepositoryEncryption.AES_256,
      removalPolicy: RemovalPolicy.DESTROY,
      emptyOnDelete: true,
      // Eight weeks to roll back.
      lifecycleRules: [{ maxImageCount: 8 }],
    });
    const source = new Asset(this, "Source", { path: context });
    const role = runners.roles.service(
      this,
      "Role",
      "codebuild.amazonaws.com",
      "Builds the runner image",
    );
    give(role, [
      allow(
        ["s3:GetObject", "s3:GetObjectVersion"],
        [source.bucket.arnForObjects(source.s3ObjectKey)],
      ),
      allow(["s3:GetBucketAcl", "s3:GetBucketLocation"], [source.bucket.bucketArn]),
      allow(["logs:CreateLogStream", "logs:PutLogEvents"], [runners.runnerLog.logGroupArn]),
      allow(["ecr:GetAuthorizationToken"], ["*"], {
        wildcard: "The call that signs in can't be limited to a repository.",
      }),
      allow(PUSH, [this.repository.repositoryArn]),
      allow(["ssm:PutParameter"], [runners.names.parameterArn(this.versionParameter)]),
    ]);
    const arm = architecture === "arm64";
    this.project = new codebuild.Project(this, "Project", {
      description: `Builds the image of ${runners.names.familyPrefix}${props.name}`,
      // Its permissions are those above: the toolkit would add wildcards on the assets' bucket.
      role: role.withoutPolicyUpdates(),
      source: codebuild.Source.s3({ bucket: source.bucket, path: source.s3ObjectKey }),
      environment: {
        buildImage: arm
          ? codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0
          : codebuild.LinuxBuildImage.AMAZON_LINUX_2023_5,
        computeType: codebuild.ComputeType.SMALL,
        // Docker inside.
        privileged: true,
      },
      environmentVariables: {
        REPOSITORY: { value: this.repository.repositoryUri },
        // Docker Hub's own, where CodeBuild's addresses have not used up the anonymous pulls.
        BASE_IMAGE: { value: PINNED.base },
        PACKAGE: { value: `actions-runner-linux-${architecture}` },
        COMPRESSION: { value: props.compression ?? "zstd" },
        VERSION_PARAMETER: { value: this.versionParameter },
      },
      buildSpec: codebuild.BuildSpec.fromObject(BUILD),
      timeout: Duration.minutes(30),
      grantReportGroupPermissions: false,
      logging: {
        cloudWatch: { logGroup: runners.runnerLog, prefix: `image/${props.name}` },
      },
    });
    this.build(
      props.schedule ?? events.Schedule.cron({ weekDay: "SUN", hour: "3", minute: "0" }),
      runners.roles,
    );
    this.image = ecs.ContainerImage.fromEcrRepository(this.repository, "latest");
    acknowledge(this.project, {
      "AwsSolutions-CB3": "Docker builds the image, from our own Dockerfile.",
      "CloudFormation-Validate::E3050": "The role is referred to by its ARN, as it should be.",
      "AwsSolutions-CB4": "The build's only output is an image, which ECR encrypts.",
    });
  }

  private build(schedule: events.Schedule, roles: Roles): void {
    const target = new CodeBuildProject(this.project, {
      eventRole: roles.service(this, "EventRole", "events.amazonaws.com", "Starts the build"),
    });
    new events.Rule(this, "Weekly", {
      description: "Rebuilds the runner image",
      schedule,
      targets: [target],
    });
    new events.Rule(this, "Deployed", {
      description: "Builds the runner image after a deployment",
      eventPattern: {
        source: ["aws.cloudformation"],
        detailType: ["CloudFormation Stack Status Change"],
        detail: {
          "stack-id": [Stack.of(this).stackId],
          "status-details": { status: ["CREATE_COMPLETE", "UPDATE_COMPLETE"] },
        },
      },
      targets: [target],
    });
  }
}

/** Exit code of the agent where a variable is missing (`images/ubuntu/README.md`). */
const AGENT_MISCONFIGURED = 29;

/** From here on AWS advises lazy loading: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-pull-behavior.html */
const LAZY_BYTES = 250_000_000;

/** https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html */
const PUSH = [
  "ecr:BatchCheckLayerAvailability",
  "ecr:InitiateLayerUpload",
  "ecr:UploadLayerPart",
  "ecr:CompleteLayerUpload",
  "ecr:BatchGetImage",
  "ecr:PutImage",
];

/**
 * Asks GitHub for the newest runner and its checksum, builds, and tries the image. Only then it is
 * pushed by its version, `latest` follows, and the version is told.
 */
const SCRIPT = `
# Others build behind the same address, and GitHub counts anonymous calls by address.
curl --fail --silent --show-error --location --retry 15 --retry-delay 60 --retry-all-errors \\
  --output release.json https://api.github.com/repos/actions/runner/releases/latest
version=$(jq --raw-output '.tag_name | ltrimstr("v")' release.json)
digest=$(jq --raw-output --arg name "$PACKAGE-$version.tar.gz" \\
  '.assets[] | select(.name == $name) | .digest | ltrimstr("sha256:")' release.json)
test -n "$digest"
aws ecr get-login-password | docker login --username AWS --password-stdin "\${REPOSITORY%%/*}"
image="$REPOSITORY:$version-$(date +%Y%m%d)"
set -- --pull --build-arg BASE_IMAGE="$BASE_IMAGE" --build-arg UPGRADE=true \\
  --build-arg RUNNER_VERSION="$version" --build-arg RUNNER_SHA256="$digest"
if [ "$COMPRESSION" != gzip ]; then
  # Docker's own builder packs by gzip only; the one in a container is pulled from Docker Hub.
  attempt=1
  until docker buildx create --name packer --use --driver docker-container --bootstrap; do
    docker buildx rm --force packer || true
    if [ "$attempt" -eq 5 ]; then
      echo "cannot pull the builder that packs by $COMPRESSION; packing by gzip instead" >&2
      COMPRESSION=gzip
      break
    fi
    attempt=$((attempt + 1))
    sleep 60
  done
fi
if [ "$COMPRESSION" = gzip ]; then
  docker build "$@" --tag "$image" .
else
  docker buildx build "$@" --provenance=false --tag "$image" --load .
fi
# Without its variables the agent says so and ends with ${AGENT_MISCONFIGURED}; the listener tells its version.
ended=0
docker run --rm "$image" || ended=$?
listener=$(docker run --rm --entrypoint /home/runner/bin/Runner.Listener "$image" --version)
if [ "$ended" -ne ${AGENT_MISCONFIGURED} ] || [ "$listener" != "$version" ]; then
  echo "$image does not start: its agent ended with $ended, its listener says '$listener'; latest stays" >&2
  exit 1
fi
for name in "$image" "$REPOSITORY:latest"; do
  if [ "$COMPRESSION" = gzip ]; then
    test "$name" = "$image" || docker tag "$image" "$name"
    docker push "$name"
  else
    # From the builder's cache: nothing is built again.
    docker buildx build "$@" --provenance=false --tag "$name" \\
      --output "type=image,push=true,oci-mediatypes=true,compression=$COMPRESSION,force-compression=true" .
  fi
done
aws ssm put-parameter --name "$VERSION_PARAMETER" --type String --overwrite --value "$version"
# Fargate has pulled all of it before the agent starts. For the log alone: a build doesn't fail for it.
bytes=$(docker buildx imagetools inspect --raw "$image" | jq '[.config, .layers[]] | map(.size) | add' || true)
echo "Before the agent starts, a task pulls \${bytes:-unknown} bytes, packed by $COMPRESSION."
if [ "\${bytes:-0}" -gt ${LAZY_BYTES} ]; then
  echo "AWS advises lazy loading (SOCI, which needs gzip) for images over 250 MB: measure both."
fi
`;

const BUILD = {
  version: "0.2",
  env: { variables: { DOCKER_BUILDKIT: "1" } },
  // A shell of its own: one that exits at the first failure, which CodeBuild's must not.
  phases: { build: { commands: [`bash -euo pipefail <<'SCRIPT'${SCRIPT}SCRIPT`] } },
};
