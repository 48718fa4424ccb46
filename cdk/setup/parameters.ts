import {
  DeleteParametersCommand,
  DescribeParametersCommand,
  GetParametersCommand,
  PutParameterCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";

/** The secrets by the last part of their parameter's name. */
export interface Secrets {
  readonly "app-id": string;
  readonly "private-key": string;
  readonly "webhook-secret": string;
}

/** Name of a secret. */
export type SecretName = keyof Secrets;

/** All of them, in the order in which a person thinks of them. */
export const SECRET_NAMES: readonly SecretName[] = ["app-id", "private-key", "webhook-secret"];

/** The secrets of a deployment in Parameter Store. */
export class Parameters {
  constructor(
    private readonly client: SSMClient,
    private readonly prefix: string,
    private readonly keyId?: string,
  ) {}

  /** Full name of a parameter. */
  name(secret: SecretName): string {
    return `/${this.prefix}/github/${secret}`;
  }

  /** Those that are there. */
  async read(): Promise<Partial<Secrets>> {
    const answer = await this.client.send(
      new GetParametersCommand({
        Names: SECRET_NAMES.map((secret) => this.name(secret)),
        WithDecryption: true,
      }),
    );
    const found = (answer.Parameters ?? []).map(({ Name, Value }) => [
      Name?.split("/").at(-1),
      Value,
    ]);
    return Object.fromEntries(found) as Partial<Secrets>;
  }

  /** Writes one of them as a SecureString, over what was there. */
  async write(secret: SecretName, value: string): Promise<void> {
    await this.client.send(
      new PutParameterCommand({
        Name: this.name(secret),
        Value: value,
        Type: "SecureString",
        KeyId: this.keyId,
        Overwrite: true,
      }),
    );
  }

  /** Deletes everything of the deployment, what the functions wrote included; answers the names. */
  async removeAll(): Promise<string[]> {
    const names: string[] = [];
    let next: string | undefined;
    do {
      const page = await this.client.send(
        new DescribeParametersCommand({
          ParameterFilters: [{ Key: "Name", Option: "BeginsWith", Values: [`/${this.prefix}/`] }],
          NextToken: next,
          MaxResults: 50,
        }),
      );
      names.push(...(page.Parameters ?? []).flatMap(({ Name }) => Name ?? []));
      next = page.NextToken;
    } while (next !== undefined);
    // The API takes ten at a time.
    for (let start = 0; start < names.length; start += 10) {
      const some = names.slice(start, start + 10);
      await this.client.send(new DeleteParametersCommand({ Names: some }));
    }
    return names;
  }
}
