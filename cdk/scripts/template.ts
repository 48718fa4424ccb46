import { App, CfnParameter, DefaultStackSynthesizer, Fn, Stack } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FargateRunners, HANDLER_NAMES } from "../src";
import { type Processor, PROCESSORS } from "./pack";
import { version } from "../package.json";

const STACK = "fargate-runners";

/**
 * The deployment as a template that needs no CDK: the functions' zips are in a bucket of the user's, and
 * the image is given by URI. There are no assets and no rule about a bootstrap.
 *
 * @param handlersDirectory holds `<handler>.zip` or `<handler>/bootstrap`; only looked at, not uploaded
 */
export function plainTemplate(
  processor: Processor,
  handlersDirectory: string,
  outdir: string,
): void {
  const app = new App({ outdir, analyticsReporting: false });
  const stack = new Stack(app, STACK, {
    description: `Ephemeral self-hosted GitHub Actions runners on ECS, ${version}`,
    synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
  });
  stack.templateOptions.metadata = { "cfn-lint": { config: { ignore_checks: ["W3005"] } } };
  const parameter = (id: string, description: string, more: object = {}) =>
    new CfnParameter(stack, id, { type: "String", description, ...more });
  const owners = parameter(
    "AllowedOwners",
    "Users or organizations whose jobs are run, by spaces",
    {
      allowedPattern: "[A-Za-z0-9][A-Za-z0-9:_ -]*",
    },
  );
  const bucket = parameter("FunctionsBucket", "Bucket in this region with the functions' zips", {
    allowedPattern: "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
  });
  const prefix = parameter(
    "FunctionsPrefix",
    "What the zips' keys begin with, with its last slash",
    {
      default: "",
      allowedPattern: "(.*/)?",
    },
  );
  const image = parameter("Image", "URI of the runner image for x64", { minLength: 1 });

  const runners = new FargateRunners(stack, "Runners", {
    handlersDirectory,
    architecture: processor === "arm64" ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64,
    github: { allowedOwners: [owners.valueAsString] },
    defaultRunner: { image: ecs.ContainerImage.fromRegistry(image.valueAsString) },
  });
  // The image's registry is not known here: it may be this account's.
  runners.defaultRunner!.taskDefinition.executionRole!.addToPrincipalPolicy(
    new iam.PolicyStatement({
      actions: [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
      ],
      resources: [stack.formatArn({ service: "ecr", resource: "repository", resourceName: "*" })],
    }),
  );
  runners.defaultRunner!.taskDefinition.executionRole!.addToPrincipalPolicy(
    new iam.PolicyStatement({ actions: ["ecr:GetAuthorizationToken"], resources: ["*"] }),
  );
  for (const name of HANDLER_NAMES) {
    const resource = runners.handlers[name]?.function.node.defaultChild;
    if (resource instanceof lambda.CfnFunction) {
      // The version is in the name: a new one changes the function, and with it its published version.
      const key = Fn.join("", [prefix.valueAsString, `${name}-${version}-${processor}.zip`]);
      resource.code = { s3Bucket: bucket.valueAsString, s3Key: key };
    }
  }
  runners.addOutputs();
  app.synth();
}

if (require.main === module) {
  const [processor, handlersDirectory, file] = process.argv.slice(2);
  if (!processor || !(processor in PROCESSORS) || !handlersDirectory || !file) {
    console.error("usage: tsx scripts/template.ts arm64|x86_64 HANDLERS OUTPUT");
    process.exit(2);
  }
  const outdir = mkdtempSync(join(tmpdir(), "template-"));
  try {
    plainTemplate(processor as Processor, handlersDirectory, outdir);
    copyFileSync(join(outdir, `${STACK}.template.json`), file);
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}
