import { Lazy } from "aws-cdk-lib";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunnerNetwork } from "../network/runner-network";
import { readBundle } from "./ca-bundle";
import { Proxy, proxyVariables, readProxy } from "./proxy";

/** Name of the file in the functions' layer, which Lambda unpacks below `/opt`. */
const FILE = "ca-bundle.pem";

/** The props that it is made from. */
export interface EgressProps {
  /** Path of a PEM file. */
  readonly caBundle?: string;
  /** URL of a proxy. */
  readonly proxy?: string;
  /** What is reached without it. */
  readonly noProxy?: readonly string[];
}

/**
 * How functions and runners reach GitHub and AWS: whom they trust, and through which proxy.
 *
 * The certificates are in the runners' environment, where the agent makes a file of them, whatever
 * their image is; Lambda's environment is too small for them, so the functions get them as a layer.
 * Neither costs a call, and without the props there is neither.
 */
export class Egress {
  private readonly bundle?: string;
  private readonly proxy?: Proxy;
  private layer?: lambda.LayerVersion;

  constructor(
    private readonly scope: Construct,
    private readonly network: RunnerNetwork,
    { caBundle, proxy, noProxy }: EgressProps,
  ) {
    this.bundle = caBundle === undefined ? undefined : readBundle("caBundle", caBundle);
    this.proxy = readProxy(proxy, noProxy);
  }

  /** What the container of every runner is told. */
  get ofRunners(): Record<string, string> {
    return {
      ...(this.bundle !== undefined && { AGENT_CA_BUNDLE: this.bundle }),
      ...this.proxyVariables(),
    };
  }

  /**
   * What a function that calls GitHub is told.
   *
   * @param inside whether it runs in the runners' network; outside of it, it has a way of its own
   */
  ofFunction(inside: boolean): Record<string, string> {
    const { http_proxy: _, ...variables } = inside ? this.proxyVariables() : {};
    return {
      ...(this.bundle !== undefined && { CA_BUNDLE: `/opt/${FILE}` }),
      ...variables,
    };
  }

  /** The layers of a function that calls GitHub. */
  get layers(): lambda.ILayerVersion[] {
    if (this.bundle === undefined) {
      return [];
    }
    this.layer ??= newLayer(this.scope, this.bundle);
    return [this.layer];
  }

  /** Only when the template is made it is known whether the network has an endpoint for warm tasks. */
  private proxyVariables(): Record<string, string> {
    if (this.proxy === undefined) {
      return {};
    }
    const now = () => proxyVariables(this.proxy!, this.network.endpointHosts ?? []);
    return { ...now(), no_proxy: Lazy.string({ produce: () => now()["no_proxy"] }) };
  }
}

function newLayer(scope: Construct, bundle: string): lambda.LayerVersion {
  const directory = mkdtempSync(join(tmpdir(), "fargate-runners-"));
  try {
    writeFileSync(join(directory, FILE), bundle);
    return new lambda.LayerVersion(scope, "CaBundle", {
      description: "Certificate authorities that the functions trust besides the usual ones",
      code: lambda.Code.fromAsset(directory),
    });
  } finally {
    // The asset has been copied.
    rmSync(directory, { recursive: true });
  }
}
