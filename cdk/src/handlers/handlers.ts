import { Construct } from "constructs";
import { invalidProp } from "../invalid-prop";
import { HandlerCode } from "./code";
import { readSecrets } from "./grants";
import { Handler, HandlerProps } from "./handler";
import { HandlerContext } from "./handler-spec";
import { HANDLER_NAMES, HandlerName, handlerSpec } from "./record";

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
  readonly all: Readonly<Record<HandlerName, Handler>>;

  constructor(scope: Construct, props: HandlersProps) {
    const { context, architecture } = props;
    const { names, network, github } = context;
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
    const code = new HandlerCode(props.directory, architecture);
    const common = {
      DEPLOYMENT: names.deployment,
      PREFIX: names.prefix,
      LOG_LEVEL: context.logLevel,
    };
    const make = (name: HandlerName) => {
      const spec = handlerSpec(name);
      return new Handler(scope, name.charAt(0).toUpperCase() + name.slice(1), {
        description: spec.description,
        timeout: spec.timeout,
        memorySize: spec.memorySize,
        functionName: names.function(name),
        code: code.of(name),
        architecture,
        environment: { ...common, ...spec.environment(context), ...props.environment[name] },
        permissions: [
          ...(spec.secrets === undefined ? [] : readSecrets(context, spec.secrets)),
          ...spec.permissions(context),
        ],
        roles: props.roles,
        logs: props.logs,
        reservedConcurrency: props.reservedConcurrency[name],
        network: github.insideNetwork && spec.callsGitHub ? network : undefined,
      });
    };
    this.all = Object.fromEntries(HANDLER_NAMES.map((name) => [name, make(name)])) as Record<
      HandlerName,
      Handler
    >;
  }
}
