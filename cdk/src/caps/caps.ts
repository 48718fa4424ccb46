import { Lazy, Token } from "aws-cdk-lib";
import { GitHubProps } from "../github-props";
import { invalidProp } from "../invalid-prop";

/** The most that a cap may be: all leases are in one item of the table, which has 400 KB. */
const MOST = 500;
/**
 * What the caps may take of the functions' variables, which have 4,096 bytes together:
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
const MOST_BYTES = 2048;
/** Until a lease ends by itself: `Runner`'s hour for the start, and what `Cleanup` repeats for an hour. */
const MARGIN_SECONDS = 3 * 60 * 60;

/** How many runners may run at once; jobs beyond wait, and take turns by repository. */
export interface CapsProps {
  /**
   * How many runners may run at once. A job beyond waits in its execution, first come, first served
   * within its repository, and in turn between repositories. From 1 to 500.
   * @default - as many as there are jobs; 800 where repositories or runners are capped
   */
  readonly maxRunning?: number;
  /**
   * How many of one repository may run at once. From 1 to 500.
   * @default - as many as there are jobs
   */
  readonly maxRunningPerRepository?: number;
  /**
   * How many of single repositories may run at once, by their full names, instead of
   * `maxRunningPerRepository`. From 1 to 500 each.
   * @default - none differs
   */
  readonly maxRunningOf?: Record<string, number>;
}

/** The caps of a deployment, as its functions read them. */
export class Caps {
  private readonly offers: Record<string, number> = {};
  private readonly repositories: Record<string, number>;

  constructor(
    private readonly props: CapsProps,
    github: Required<GitHubProps>,
  ) {
    const { maxRunning, maxRunningPerRepository, maxRunningOf = {} } = props;
    check("maxRunning", maxRunning);
    this.checkBelow("maxRunningPerRepository", maxRunningPerRepository);
    const repositories: Record<string, number> = {};
    for (const [name, cap] of Object.entries(maxRunningOf)) {
      if (!/^[\w-]+\/[\w.-]+$/.test(name)) {
        throw invalidProp("maxRunningOf", name, "full names of repositories, as octo/hello");
      }
      const folded = name.toLowerCase();
      if (repositories[folded] !== undefined) {
        throw invalidProp("maxRunningOf", name, "each repository once: GitHub ignores case");
      }
      if (!isServed(folded, github)) {
        throw invalidProp(
          "maxRunningOf",
          name,
          "repositories that allowedOwners and allowedRepositories admit",
        );
      }
      this.checkBelow(`maxRunningOf.${name}`, cap);
      repositories[folded] = cap;
    }
    this.repositories = repositories;
  }

  /** Whether anything is capped so far. */
  get any(): boolean {
    const { maxRunning, maxRunningPerRepository } = this.props;
    return [
      maxRunning,
      maxRunningPerRepository,
      ...Object.values(this.repositories),
      ...Object.values(this.offers),
    ].some((cap) => cap !== undefined);
  }

  /** The narrower of a runner's cap and the deployment's. */
  narrower(ofRunner: number | undefined): number | undefined {
    return ofRunner ?? this.props.maxRunning;
  }

  /** Caps a runner. */
  addOffer(family: string, maxRunning: number): void {
    this.checkBelow("maxRunning", maxRunning);
    this.offers[family] = maxRunning;
  }

  /**
   * The value of the functions' variable, complete when the template is synthesized.
   *
   * @param table name of the table with the leases
   * @param maxJobSeconds how long a job may take
   */
  variable(table: string, maxJobSeconds: number): string {
    return Lazy.string({
      produce: () => {
        const value = JSON.stringify({
          table,
          leaseSeconds: maxJobSeconds + MARGIN_SECONDS,
          caps: this.value(),
        });
        const bytes = Buffer.byteLength(value);
        if (!Token.isUnresolved(value) && bytes > MOST_BYTES) {
          throw invalidProp(
            "maxRunningOf",
            `${Object.keys(this.repositories).length} repositories, ${bytes} bytes`,
            `${MOST_BYTES} bytes for all caps, because Lambda holds 4096 bytes of variables; ` +
              "use maxRunningPerRepository",
          );
        }
        return value;
      },
    });
  }

  private value() {
    const { maxRunning, maxRunningPerRepository } = this.props;
    const some = (caps: Record<string, number>) =>
      Object.keys(caps).length > 0 ? caps : undefined;
    return {
      deployment: maxRunning,
      repository: maxRunningPerRepository,
      repositories: some(this.repositories),
      offers: some(this.offers),
    };
  }

  /** A cap above the deployment's would never be reached. */
  private checkBelow(prop: string, cap: number | undefined): void {
    check(prop, cap);
    const most = this.props.maxRunning;
    if (cap !== undefined && most !== undefined && cap > most) {
      throw invalidProp(prop, cap, `at most ${most}, the deployment's maxRunning`);
    }
  }
}

function check(prop: string, cap: number | undefined): void {
  if (cap !== undefined && !(Number.isInteger(cap) && cap >= 1 && cap <= MOST)) {
    throw invalidProp(prop, cap, `a whole number from 1 to ${MOST}`);
  }
}

/** Whether jobs of a repository, in lower case, are served. */
function isServed(repository: string, github: Required<GitHubProps>): boolean {
  const { allowedOwners, allowedRepositories } = github;
  const [owner] = repository.split("/");
  const admits = (allowed: string) => allowed === "*" || allowed.split(":")[0] === owner;
  if (allowedRepositories.length > 0) {
    return allowedRepositories.some((one) => one.toLowerCase() === repository);
  }
  return allowedOwners.some((one) => admits(one.toLowerCase()));
}
