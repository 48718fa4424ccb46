import { Construct } from "constructs";
import { invalidProp } from "../invalid-prop";
import { give, Permission } from "../permission";
import { HandlerCode } from "./code";
import { readSecrets } from "./grants";
import { Handler, HandlerProps } from "./handler";
import { HandlerContext, HandlerSpec } from "./handler-spec";
import {
  DeployedHandlers,
  HANDLER_NAMES,
  HandlerName,
  handlerSpec,
  STANDING_HANDLERS,
} from "./record";

/** What the functions are made from. */
export interface HandlersProps extends Pick<HandlerProps, "architecture" | "roles" | "logs"> {
  /** What the deployment knows about itself. */
  readonly context: HandlerContext;
  /** Directory with `<handler>/bootstrap` for each function. */
  readonly directory: string;
  /** Environment variables over those that follow from the other props. */
  readonly environment: Partial<Record<HandlerName, Record<string, string>>>;
  /** Concurrency set aside for single functions. */
  readonly reservedConcurrency: Partial<Record<HandlerName, number>>;
}

/** The functions, each a construct of its own under the given scope. */
export class Handlers {
  /** The functions by name. */
  readonly all: DeployedHandlers;

  private readonly code: HandlerCode;
  private readonly made: Partial<Record<HandlerName, Handler>> = {};

  constructor(
    private readonly scope: Construct,
    private readonly props: HandlersProps,
  ) {
    const { network, github } = props.context;
    if (github.insideNetwork && network.assignPublicIp) {
      throw invalidProp(
        "github.insideNetwork",
        true,
        "true only in private subnets: a function in a public one reaches nothing outside",
      );
    }
    for (const [name, reserved] of Object.entries(props.reservedConcurrency)) {
      // Zero stops a function; nobody means that here.
      if (!Number.isInteger(reserved) || reserved < 1) {
        throw invalidProp(`reservedConcurrency.${name}`, reserved, "a whole number from 1 on");
      }
    }
    this.code = new HandlerCode(props.directory, props.architecture);
    this.make(STANDING_HANDLERS);
    this.all = this.made as DeployedHandlers;
  }

  /** Makes the functions of warm tasks, and gives the others what they need for them. */
  addWarmTasks(): void {
    const { context } = this.props;
    this.make(HANDLER_NAMES.filter((name) => handlerSpec(name).onlyWithWarmTasks));
    this.extend(
      ({ warm }) => warm?.permissions(context),
      ({ warm }) => warm?.environment(context) ?? {},
    );
  }

  /**
   * Has the functions that need it read the caps.
   *
   * @param variable the caps and their table
   */
  addCaps(variable: string): void {
    this.extend(
      ({ caps }) => caps?.(this.props.context),
      () => ({ CAPS: variable }),
    );
  }

  /**
   * Has the functions note jobs that are interrupted, and run them again.
   *
   * @param table the table of the notes
   */
  addReruns(table: string): void {
    this.extend(
      ({ reruns }) => reruns?.(this.props.context),
      () => ({ RERUN_TABLE: table }),
    );
  }

  /** Gives the functions that a feature concerns its permissions and variables; a deployer's own ones win. */
  private extend(
    permissions: (spec: HandlerSpec) => Permission[] | undefined,
    variables: (spec: HandlerSpec) => Record<string, string>,
  ): void {
    for (const name of STANDING_HANDLERS) {
      const spec = handlerSpec(name);
      const granted = permissions(spec);
      if (granted !== undefined) {
        const { function: fn } = this.all[name];
        give(fn.role!, granted);
        const all = { ...variables(spec), ...this.props.environment[name] };
        Object.entries(all).forEach(([key, value]) => fn.addEnvironment(key, value));
      }
    }
  }

  private make(names: readonly HandlerName[]): void {
    this.code.check(names);
    for (const name of names) {
      this.made[name] = this.handler(name);
    }
  }

  private handler(name: HandlerName): Handler {
    const { context, architecture, environment, reservedConcurrency, roles, logs } = this.props;
    const { names, network, github, egress } = context;
    const spec = handlerSpec(name);
    const callsGitHub = spec.callsGitHub ?? false;
    const inside = github.insideNetwork && callsGitHub;
    return new Handler(this.scope, name.charAt(0).toUpperCase() + name.slice(1), {
      description: spec.description,
      timeout: spec.timeout,
      memorySize: spec.memorySize,
      functionName: names.function(name),
      code: this.code.of(name),
      architecture,
      environment: {
        DEPLOYMENT: names.deployment,
        PREFIX: names.prefix,
        LOG_LEVEL: context.logLevel,
        ...spec.environment(context),
        ...(callsGitHub && egress.ofFunction(inside)),
        ...environment[name],
      },
      permissions: [
        ...(spec.secrets === undefined ? [] : readSecrets(context, spec.secrets)),
        ...spec.permissions(context),
      ],
      roles,
      logs,
      reservedConcurrency: reservedConcurrency[name],
      network: inside ? network : undefined,
      layers: callsGitHub ? egress.layers : [],
    });
  }
}
