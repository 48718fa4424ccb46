import { App, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Config, readConfig } from "../app/config";
import { FargateRunner, FargateRunners, FargateRunnersProps, IsolatedVpc, NatVpc } from "../src";
import { appTemplate, BUNDLE, deployment, GITHUB, HANDLERS_DIRECTORY, IMAGE } from "./support";
import { temporaryDirectory } from "./temporary";

const PROXY = "http://proxy.example.org:3128";
const FIXTURES = join(__dirname, "fixtures");
const PEM = readFileSync(BUNDLE, "utf8");

/** A file with this text. */
function file(text: string | Uint8Array): string {
  const path = join(temporaryDirectory("bundle"), "bundle.pem");
  writeFileSync(path, text);
  return path;
}

function variables(template: Template, handler: string): Record<string, unknown> {
  const found = template.findResources("AWS::Lambda::Function", {
    Properties: { FunctionName: `fargate-runners-${handler}` },
  });
  const [fn] = Object.values(found);
  return fn!.Properties.Environment.Variables as Record<string, unknown>;
}

/** What the runner's container is told, with everything that CloudFormation fills in written out. */
function told(template: Template): Record<string, string> {
  const [definition] = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const [container] = definition!.Properties.ContainerDefinitions;
  const pairs = (container.Environment ?? []) as { Name: string; Value: unknown }[];
  return Object.fromEntries(pairs.map(({ Name, Value }) => [Name, written(Value)]));
}

function written(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  const { "Fn::Join": join, Ref } = value as { "Fn::Join"?: [string, unknown[]]; Ref?: string };
  return join === undefined ? `<${Ref}>` : join[1].map(written).join(join[0]);
}

test("the bundle's certificates reach functions that call GitHub as a layer, and runners as text", () => {
  const { stack } = deployment({ caBundle: file(`Amazon's:\r\n${PEM}\nbehind\n`) });
  const template = Template.fromStack(stack);
  for (const handler of ["token", "cleanup", "sweep"]) {
    assert.equal(variables(template, handler)["CA_BUNDLE"], "/opt/ca-bundle.pem");
  }
  for (const handler of ["verify", "match", "launch"]) {
    assert.equal("CA_BUNDLE" in variables(template, handler), false, handler);
  }
  const bundle = told(template)["AGENT_CA_BUNDLE"]!;
  assert.equal(bundle.match(/-----BEGIN CERTIFICATE-----/g)?.length, 5);
  assert.doesNotMatch(bundle, /Amazon's|behind|\r/);

  const assembly = (stack.node.root as App).synth();
  const assets = readdirSync(assembly.directory).filter((name) => name.startsWith("asset."));
  const layers = assets.filter((name) =>
    readdirSync(join(assembly.directory, name)).includes("ca-bundle.pem"),
  );
  assert.equal(layers.length, 1);
  const held = readFileSync(join(assembly.directory, layers[0]!, "ca-bundle.pem"), "utf8");
  assert.equal(held, bundle);
});

test("without the props nothing is told and nothing is added", () => {
  const template = Template.fromStack(deployment().stack);
  template.resourceCountIs("AWS::Lambda::LayerVersion", 0);
  const told = JSON.stringify(template.toJSON());
  assert.doesNotMatch(told, /_proxy|CA_BUNDLE/);
});

test("runners get the proxy as GitHub's runner reads it; functions outside of the network do not", () => {
  const template = Template.fromStack(
    deployment({ proxy: PROXY, noProxy: ["git.example.org", ".corp.example"] }).stack,
  );
  const environment = told(template);
  assert.equal(environment["https_proxy"], PROXY);
  assert.equal(environment["http_proxy"], PROXY);
  assert.equal(
    environment["no_proxy"],
    "localhost,127.0.0.1,169.254.170.2,169.254.169.254,s3.<AWS::Region>.<AWS::URLSuffix>,git.example.org,.corp.example",
  );
  for (const handler of ["token", "cleanup", "sweep", "verify", "match", "launch"]) {
    assert.equal("https_proxy" in variables(template, handler), false, handler);
  }
});

/** A deployment with a network of its own. */
function within(
  network: (stack: Stack) => IsolatedVpc | NatVpc,
  props: Partial<FargateRunnersProps>,
): { stack: Stack; template: Template } {
  const stack = new Stack(new App(), "Test");
  new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { image: IMAGE },
    network: network(stack),
    proxy: PROXY,
    github: { ...GITHUB, insideNetwork: true },
    ...props,
  });
  return { stack, template: Template.fromStack(stack) };
}

test("inside of an isolated network functions use the proxy, except for AWS services with an endpoint", () => {
  const { stack, template } = within(
    (stack) => new IsolatedVpc(stack, "Network", { handlerEndpoints: true }),
    {},
  );
  const at = (service: string) => `${service}.<AWS::Region>.<AWS::URLSuffix>`;
  const services = ["api.ecr", "dkr.ecr", "logs", "ssm", "ecs", "states", "lambda", "s3"].map(at);
  for (const handler of ["token", "cleanup", "sweep"]) {
    const told = variables(template, handler);
    assert.equal(told["https_proxy"], PROXY);
    assert.equal("http_proxy" in told, false, "they speak HTTPS alone");
    const except = written(told["no_proxy"]).split(",");
    assert.deepEqual(except.slice(4), services);
  }
  assert.equal("https_proxy" in variables(template, "verify"), false);
  Annotations.fromStack(stack).hasNoWarning("*", Match.stringLikeRegexp("IsolatedVpc"));
});

test("DynamoDB is reached without the proxy from the first runner on that has warm tasks", () => {
  const { template } = within((stack) => new NatVpc(stack, "Network"), {
    defaultRunner: { image: IMAGE, warm: { size: 1 } },
  });
  assert.match(told(template)["no_proxy"]!, /,s3\.[^,]*,dynamodb\.[^,]*,ddb\.[^,]*$/);
});

test("the case of a proxy's address means nothing", () => {
  const props = { proxy: "HTTP://Proxy.Example.ORG:3128", noProxy: ["Git.Example.org"] };
  const environment = told(Template.fromStack(deployment(props).stack));
  assert.equal(environment["https_proxy"], PROXY);
  assert.match(environment["no_proxy"]!, /,git\.example\.org$/);
});

test("a runner's own environment goes first", () => {
  const { stack, runners } = deployment({ defaultRunner: false, proxy: PROXY });
  const environment = { https_proxy: "http://other.example.org:8080" };
  new FargateRunner(stack, "Runner", { runners, image: IMAGE, environment });
  assert.equal(told(Template.fromStack(stack))["https_proxy"], environment.https_proxy);
});

const REFUSED: [string, Partial<FargateRunnersProps>, RegExp][] = [
  [
    "a proxy without scheme",
    { proxy: "proxy.example.org:3128" },
    /Invalid proxy: "proxy\.example\.org:3128"\. Allowed: an http:\/\/ URL of host and port, as/,
  ],
  ["a word for a proxy", { proxy: "yes" }, /Invalid proxy: "yes"\. Allowed: an http:\/\/ URL/],
  ["a proxy of TLS", { proxy: "https://proxy:3129" }, /Invalid proxy: "https:\/\/proxy:3129"/],
  ["a SOCKS proxy", { proxy: "socks5://proxy:1080" }, /Invalid proxy: "socks5:/],
  [
    "a proxy with a path",
    { proxy: `${PROXY}/pac` },
    /Invalid proxy: .*Allowed: host and port alone/,
  ],
  ["a space behind the proxy", { proxy: `${PROXY} ` }, /Allowed: host and port alone/],
  ["a backslash in the proxy", { proxy: `${PROXY}\\pac` }, /Allowed: host and port alone/],
  [
    "a name in the proxy that agent and functions refuse",
    { proxy: "http://pr\u00f6xy.example.org:3128" },
    /Allowed: host and port alone/,
  ],
  [
    "a password in the proxy's URL",
    { proxy: "http://me:hunter2@proxy.example.org:3128" },
    /Invalid proxy: "http:\/\/…@proxy\.example\.org:3128"\. Allowed: a URL without user and password/,
  ],
  [
    "noProxy alone",
    { noProxy: ["a"] },
    /Invalid noProxy: \["a"\]\. Allowed: nothing without proxy/,
  ],
  [
    "an address in noProxy, which the runner does not read",
    { proxy: PROXY, noProxy: ["10.0.0.5"] },
    /Invalid noProxy: "10\.0\.0\.5"\. Allowed: hosts and domains, as git\.example\.org/,
  ],
  ["a range in noProxy", { proxy: PROXY, noProxy: ["10.0.0.0/8"] }, /Invalid noProxy: "10\.0\.0/],
  ["a pattern in noProxy", { proxy: PROXY, noProxy: ["*.corp"] }, /Invalid noProxy: "\*\.corp"/],
  ["a port in noProxy", { proxy: PROXY, noProxy: ["git:443"] }, /Invalid noProxy: "git:443"/],
  ["a URL in noProxy", { proxy: PROXY, noProxy: ["https://git"] }, /Invalid noProxy: "https:/],
  ["a list in noProxy", { proxy: PROXY, noProxy: ["a,b"] }, /Invalid noProxy: "a,b"/],
  [
    "more of noProxy than a function's variables hold",
    { proxy: PROXY, noProxy: Array.from({ length: 80 }, (_, i) => `host-${i}.example.org`) },
    /Invalid noProxy: "80 entries of \d+ bytes"\. Allowed: 1024 bytes/,
  ],
  [
    "a bundle that is nowhere",
    { caBundle: "/nowhere.pem" },
    /Invalid caBundle: "\/nowhere\.pem"\. Allowed: a PEM file with certificate authorities \(ENOENT/,
  ],
  [
    "a bundle without certificates",
    { caBundle: file("no PEM") },
    /a PEM file with certificates, each/,
  ],
  [
    "a private key in the bundle",
    {
      caBundle: file(
        `${PEM}\n-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n`,
      ),
    },
    /Allowed: a file of certificates alone: this one has a private key/,
  ],
  [
    "a bundle whose last certificate is cut off",
    { caBundle: file(PEM.trimEnd().replace(/-----END CERTIFICATE-----$/, "")) },
    /Allowed: certificates that are whole; one begins and does not end/,
  ],
  [
    "a certificate in OpenSSL's own form",
    {
      caBundle: file(
        `${PEM}-----BEGIN TRUSTED CERTIFICATE-----\nMIIB\n-----END TRUSTED CERTIFICATE-----\n`,
      ),
    },
    /between BEGIN CERTIFICATE and END CERTIFICATE; one is TRUSTED CERTIFICATE/,
  ],
  [
    "a certificate in DER",
    { caBundle: file(new X509Certificate(PEM).raw) },
    /is DER: openssl x509/,
  ],
  [
    "a certificate that is cut off",
    { caBundle: file("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n") },
    /Allowed: certificates that can be read; certificate 1 of 1 cannot/,
  ],
  [
    "an authority that has expired",
    { caBundle: join(FIXTURES, "expired-authority.pem") },
    /Allowed: certificates that are valid; certificate 1 of 1 \(CN=Expired authority\) expired on Jan/,
  ],
  [
    "a server's certificate",
    { caBundle: join(FIXTURES, "server.pem") },
    /Allowed: certificates of authorities; certificate 1 of 1 \(CN=ghe\.example\.org\) is a server's/,
  ],
  [
    "a bundle that no environment holds",
    { caBundle: file(PEM.repeat(4)) },
    /Allowed: up to 16384 bytes of certificates.*this file has \d+ in 20; leave out the usual/,
  ],
];

for (const [what, props, message] of REFUSED) {
  test(`${what} is refused in one sentence`, () => {
    assert.throws(() => deployment(props), message);
  });
}

test("a self-signed certificate of an Enterprise Server is taken", () => {
  deployment({ caBundle: join(FIXTURES, "self-signed.pem") });
});

test("the app reads the same from its configuration", () => {
  const config = readConfig({ proxy: PROXY, noProxy: "git.example.org", caBundle: BUNDLE });
  const environment = told(appTemplate(config));
  assert.equal(environment["https_proxy"], PROXY);
  assert.match(environment["no_proxy"]!, /,git\.example\.org$/);
  assert.match(environment["AGENT_CA_BUNDLE"]!, /^-----BEGIN CERTIFICATE-----\n/);
});

test("behind a proxy isolated runners may be github.com's, with an image that needs none", () => {
  const config: Config = { network: "isolated", githubInsideNetwork: true };
  const image = "111111111111.dkr.ecr.eu-central-1.amazonaws.com/runner:1";
  assert.throws(() => appTemplate({ ...config, image }), /Invalid network: "isolated"/);
  assert.throws(() => appTemplate({ ...config, proxy: PROXY }), /Invalid image: .*image in ECR/);
  appTemplate({ ...config, image, proxy: PROXY });
});
