import { isOnInternet } from "../src/github-url";
import { readImage } from "../src/images/image-reference";
import { invalidProp } from "../src/invalid-prop";
import { requiredAlternatives } from "../src/required-labels";
import { unserved } from "../src/runners/audience-warnings";
import { Reachable, reachabilityWarnings } from "../src/runners/reachability";
import { checkRunnerName, defaultLabels, defaultRunnerName } from "../src/runners/runner-name";
import type { Config, RunnerConfig } from "./config";
import { placeOf, within } from "./failure";

/**
 * Refuses a configuration that can be deployed and serves no job. The construct only warns of most of
 * this, because there a network, a task definition or a proxy may come from elsewhere.
 */
export function refuseUseless(config: Config): void {
  if (config.runners?.length === 0) {
    throw invalidProp("runners", [], "at least one runner; leave it out for the default one");
  }
  refuseWithoutImage(config);
  refuseIsolated(config);
  const offers: Offered[] = [];
  const runners = config.runners ?? [
    { labels: config.labels, architecture: config.runnerArchitecture },
  ];
  for (const [index, runner] of runners.entries()) {
    const place = config.runners === undefined ? undefined : placeOf(index, runner);
    const offer = () => offerOf(config, runner, place, offers);
    offers.push(place === undefined ? offer() : within(place, offer));
  }
  refuseUnreachable(config, offers);
}

/** What a runner offers, and where it stands. */
interface Offered extends Reachable {
  /** Nothing for the default runner. */
  readonly place?: string;
}

function offerOf(
  config: Config,
  runner: RunnerConfig,
  place: string | undefined,
  others: readonly Offered[],
): Offered {
  const architecture = runner.architecture ?? "x64";
  const family = runner.name ?? defaultRunnerName(architecture);
  checkRunnerName("name", family);
  const twin = others.find((other) => other.family === family);
  if (twin !== undefined) {
    const allowed = `a name of its own: ${twin.place} is called that, too`;
    throw invalidProp("name", family, allowed);
  }
  const { repositories, labels = defaultLabels(architecture) } = runner;
  const { allowedOwners = [], allowedRepositories = [] } = config;
  const owners = allowedOwners.includes("*") ? [] : allowedOwners;
  const served = { allowedOwners: owners, allowedRepositories };
  if (repositories?.length && unserved(repositories, served).length === repositories.length) {
    const allowed = "repositories that allowedOwners and allowedRepositories admit";
    throw invalidProp("repositories", repositories, allowed);
  }
  return { place, family, labels, repositories };
}

function refuseUnreachable(config: Config, offers: readonly Offered[]): void {
  const required = requiredAlternatives(config.requiredLabels ?? ["self-hosted"], {
    scope: config.runnerScope ?? "repository",
    runnerGroup: config.runnerGroup ?? "Default",
  });
  for (const [index, offer] of offers.entries()) {
    const warnings = reachabilityWarnings(offer, offers.slice(0, index), required);
    const useless = warnings.find(({ id }) => id === "unreachable-runner");
    if (useless !== undefined) {
      const { place } = useless.offer;
      throw new Error(place === undefined ? useless.message : `${place}: ${useless.message}`);
    }
  }
}

/** An image is either given or made. */
function refuseWithoutImage({ image, rebuildWeekly, runners }: Config): void {
  if (image !== undefined) {
    readImage("image", image);
    if (rebuildWeekly === true) {
      throw invalidProp("rebuildWeekly", true, "false, or no image, which is not built here");
    }
  }
  for (const [index, runner] of (runners ?? []).entries()) {
    if (runner.image !== undefined) {
      within(placeOf(index, runner), () => readImage("image", runner.image!));
    }
  }
}

/** Whatever has no way to the internet reaches neither GitHub there nor, even with a proxy, a registry. */
function refuseIsolated({ network, githubApiUrl, image, runners, proxy }: Config): void {
  const api = githubApiUrl ?? "https://api.github.com";
  if (network !== "isolated" || api.startsWith("http://")) {
    return;
  }
  if (isOnInternet(api) && proxy === undefined) {
    const allowed =
      "public or nat, because an isolated runner has no way to GitHub on the internet; " +
      "or the proxy that is its way, or the githubApiUrl of an Enterprise Server that you connect";
    throw invalidProp("network", network, allowed);
  }
  const refuse = (uri: string | undefined) => {
    if (uri !== undefined && readImage("image", uri) === undefined) {
      const allowed = "an image in ECR, because an isolated runner reaches no other registry";
      throw invalidProp("image", uri, allowed);
    }
  };
  refuse(image);
  for (const [index, runner] of (runners ?? []).entries()) {
    within(placeOf(index, runner), () => refuse(runner.image));
  }
}
