import { Duration, RemovalPolicy, Stack, StackProps } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sns from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { Capacity, FargateRunner, FargateRunners, imageFromUri, WarmProps } from "../src";
import { Config, RunnerConfig, WarmConfig } from "./config";
import { refuseUseless } from "./contradictions";
import { placeOf, within } from "./failure";
import { networkOf } from "./network";

/** The stack that the app deploys: one {@link FargateRunners} made from a configuration. */
export class FargateRunnersStack extends Stack {
  /** The deployment. */
  readonly runners: FargateRunners;

  constructor(scope: Construct, id: string, config: Config, props: StackProps = {}) {
    super(scope, id, props);
    refuseUseless(config);
    // The toolkit lets a function depend on its role although the reference to it says the same.
    this.templateOptions.metadata = { "cfn-lint": { config: { ignore_checks: ["W3005"] } } };
    const { permissionsBoundaryArn, parameterKeyArn, alarmTopicArn } = config;
    const permissionsBoundary =
      permissionsBoundaryArn === undefined
        ? undefined
        : iam.ManagedPolicy.fromManagedPolicyArn(this, "Boundary", permissionsBoundaryArn);
    if (permissionsBoundary !== undefined) {
      // The network's and the image's roles, too, where they have any.
      iam.PermissionsBoundary.of(this).apply(permissionsBoundary);
    }
    this.runners = new FargateRunners(this, "Runners", {
      prefix: config.prefix,
      deployment: config.deployment,
      github: {
        apiUrl: config.githubApiUrl,
        insideNetwork: config.githubInsideNetwork,
        scope: config.runnerScope,
        runnerGroup: config.runnerGroup,
        registration: config.registration,
        allowedOwners: config.allowedOwners,
        allowedRepositories: config.allowedRepositories,
        allowPublicRepositories: config.allowPublicRepositories,
        allowInternalRepositories: config.allowInternalRepositories,
        allowForks: config.allowForks,
        requiredLabels: config.requiredLabels,
        reconcileCalls: config.reconcileCalls,
        checkRuns: config.checkRuns,
      },
      defaultRunner:
        config.runners === undefined &&
        this.runnerProps("Ubuntu", {
          labels: config.labels,
          maxCpu: config.maxCpu,
          maxMemory: config.maxMemory,
          maxDisk: config.maxDisk,
          architecture: config.runnerArchitecture,
          image: config.image,
          runnerVersion: config.runnerVersion,
          rebuildWeekly: config.rebuildWeekly,
          warm: config.warm,
          rerunAfterInterruption: config.rerunAfterInterruption,
        }),
      capacity: config.capacity && Capacity.of(...config.capacity),
      maxRunning: config.maxRunning,
      maxRunningPerRepository: config.maxRunningPerRepository,
      maxRunningOf: config.maxRunningOf,
      maxJobDuration:
        config.maxJobDurationMinutes === undefined
          ? undefined
          : Duration.minutes(config.maxJobDurationMinutes),
      trustedDefinitions: config.trustedDefinitions,
      repositoryRoles: this.rolesOf(config.repositoryRoles),
      network: networkOf(this, config),
      caBundle: config.caBundle,
      proxy: config.proxy,
      noProxy: config.noProxy,
      frontDoor: config.frontDoor,
      requestsPerSecond: config.requestsPerSecond,
      allowedSources: config.allowedSources?.join() === "github" ? "github" : config.allowedSources,
      reservedConcurrency:
        config.webhookConcurrency === undefined ? {} : { verify: config.webhookConcurrency },
      architecture:
        config.architecture === "x86_64" ? lambda.Architecture.X86_64 : lambda.Architecture.ARM_64,
      handlersDirectory: config.handlersDirectory,
      definitionFile: config.definitionFile,
      logLevel: config.logLevel,
      logRetention: config.logRetentionDays,
      logRemovalPolicy: config.keepLogs ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      parameterKey: parameterKeyArn
        ? kms.Key.fromKeyArn(this, "ParameterKey", parameterKeyArn)
        : undefined,
      secretsKey: config.secretsKey,
      secretsReaders: config.secretsReaderArns?.map((arn) => new iam.ArnPrincipal(arn)),
      permissionsBoundary,
      rolePath: config.rolePath,
      tracing: config.tracing,
      containerInsights: config.containerInsights,
      monitoring: {
        alarms: (config.alarms ?? true) && {
          topic: alarmTopicArn
            ? sns.Topic.fromTopicArn(this, "AlarmTopic", alarmTopicArn)
            : undefined,
        },
        waitingLimit:
          config.waitingLimitSeconds === undefined
            ? undefined
            : Duration.seconds(config.waitingLimitSeconds),
        dashboard: config.dashboard,
        savedQueries: config.savedQueries,
      },
    });
    for (const [index, runner] of (config.runners ?? []).entries()) {
      within(placeOf(index, runner), () => this.addRunner(index, runner, config));
    }
    this.runners.addOutputs();
  }

  private rolesOf(arns: Config["repositoryRoles"]): Record<string, iam.IRole> | undefined {
    const imported = new Map<string, iam.IRole>();
    return (
      arns &&
      Object.fromEntries(
        Object.entries(arns).map(([repository, arn]) => {
          const id = `RepositoryRole${imported.size}`;
          const role = imported.get(arn) ?? iam.Role.fromRoleArn(this, id, arn);
          imported.set(arn, role);
          return [repository, role];
        }),
      )
    );
  }

  private addRunner(index: number, runner: RunnerConfig, config: Config): void {
    const id = runner.name ?? `Runner${index}`;
    new FargateRunner(this, id, {
      ...this.runnerProps(id, {
        ...(runner.image || runner.rebuildWeekly
          ? {}
          : { image: config.image, runnerVersion: config.runnerVersion }),
        ...runner,
      }),
      runners: this.runners,
    });
  }

  private runnerProps(id: string, config: RunnerConfig) {
    const { rebuildWeekly: rebuild, warm, ...rest } = config;
    return {
      ...rest,
      rebuild,
      warm: warm === undefined ? undefined : warmProps(warm),
      image: config.image ? imageFromUri(this, `${id}Image`, config.image) : undefined,
      capacity: config.capacity && Capacity.of(...config.capacity),
    };
  }
}

function warmProps(config: number | WarmConfig): WarmProps {
  if (typeof config === "number") {
    return { size: config };
  }
  const { maxAgeMinutes, ...rest } = config;
  return {
    ...rest,
    maxAge: maxAgeMinutes === undefined ? undefined : Duration.minutes(maxAgeMinutes),
  };
}
