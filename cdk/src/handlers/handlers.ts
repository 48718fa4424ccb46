import { Construct } from "constructs";
import { invalidProp } from "../invalid-prop";
import { HandlerName, HANDLERS } from "../names";
import { HandlerCode } from "./code";
import { handlerEnvironment, HandlerEnvironmentProps } from "./environment";
import { Handler, HandlerProps } from "./handler";
import { handlerPermissions, PermissionsProps } from "./permissions";
import { HANDLER_SIZES } from "./sizes";

/** What the functions are made from. */
export interface HandlersProps
  extends HandlerEnvironmentProps, Pick<HandlerProps, "architecture" | "roles" | "logs"> {
  /** Directory with `<handler>/bootstrap` for each function. */
  readonly directory: string;
  /** Environment variables over those that follow from the other props. */
  readonly environment: Partial<Record<HandlerName, Record<string, string>>>;
  /** Concurrency set aside for single functions. */
  readonly reservedConcurrency: Partial<Record<HandlerName, number>>;
  /** What the functions' roles name. */
  readonly permissions: PermissionsProps;
}

/** The functions that call GitHub. */
const CALLS_GITHUB: readonly HandlerName[] = ["token", "cleanup", "sweep"];

/** The six functions, each a construct of its own under the given scope. */
export class Handlers {
  /** The functions by name. */
  readonly all: Readonly<Record<HandlerName, Handler>>;

  constructor(scope: Construct, props: HandlersProps) {
    const { names, network, architecture, github } = props;
    if (github.insideNetwork && network.assignPublicIp) {
      throw invalidProp(
        "github.insideNetwork",
        true,
        "true only in private subnets: a function in a public one reaches nothing outside",
      );
    }
    const code = new HandlerCode(props.directory, architecture);
    const environment = handlerEnvironment(props);
    const make = (name: HandlerName) =>
      new Handler(scope, name.charAt(0).toUpperCase() + name.slice(1), {
        ...HANDLER_SIZES[name],
        functionName: names.function(name),
        code: code.of(name),
        architecture,
        environment: { ...environment[name], ...props.environment[name] },
        permissions: handlerPermissions(name, props.permissions),
        roles: props.roles,
        logs: props.logs,
        reservedConcurrency: props.reservedConcurrency[name],
        network: github.insideNetwork && CALLS_GITHUB.includes(name) ? network : undefined,
      });
    this.all = Object.fromEntries(HANDLERS.map((name) => [name, make(name)])) as Record<
      HandlerName,
      Handler
    >;
  }
}
