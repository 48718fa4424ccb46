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

/** Parameter Store's name for the key that it uses unless told otherwise. */
export const MANAGED_KEY = "alias/aws/ssm";

/** The secrets of a deployment in Parameter Store. */
export class Parameters {
  constructor(
    private readonly client: SSMClient,
    private readonly prefix: string,
    /** A key of one's own; without it the deployment's, where there is one. */
    private readonly keyId?: string,
  ) {}

  /** The key that secrets are written with. */
  get key(): string {
    return this.keyId ?? `alias/${this.prefix}-secrets`;
  }

  /** Full name of a parameter. */
  name(secret: SecretName): string {
    return `/${this.prefix}/github/${secret}`;
  }

  /**
   * Those that are there, with their values as far as we may decrypt them: the deployment's own key
   * decrypts for the functions alone.
   */
  async read(): Promise<{ there: readonly SecretName[]; values: Partial<Secrets> }> {
    const decrypted = await this.get(true).catch((error: unknown) => {
      if ((error as Error).name === "AccessDeniedException") {
        return undefined;
      }
      throw error;
    });
    // Whoever may not read them at all is told so by this call.
    const found = decrypted ?? (await this.get(false));
    return {
      there: SECRET_NAMES.filter((name) => found[name] !== undefined),
      values: decrypted ?? {},
    };
  }

  /**
   * What the deployment tells of itself, by the parameter's name: no secrets. Nothing of what isn't
   * there, nor of any of it if we may not read it.
   */
  async published(names: readonly string[]): Promise<Map<string, string>> {
    const request = new GetParametersCommand({ Names: [...names] });
    const answer = await this.client.send(request).catch((error: unknown) => {
      if ((error as Error).name === "AccessDeniedException") {
        return undefined;
      }
      throw error;
    });
    const found = answer?.Parameters ?? [];
    return new Map(
      found.flatMap(({ Name, Value }) => (Name && Value !== undefined ? [[Name, Value]] : [])),
    );
  }

  private async get(withDecryption: boolean): Promise<Partial<Secrets>> {
    const answer = await this.client.send(
      new GetParametersCommand({
        Names: SECRET_NAMES.map((secret) => this.name(secret)),
        WithDecryption: withDecryption,
      }),
    );
    const found = (answer.Parameters ?? []).map(({ Name, Value }) => [
      Name?.split("/").at(-1),
      Value,
    ]);
    return Object.fromEntries(found) as Partial<Secrets>;
  }

  /** Those with the AWS-managed key, which decrypts for the whole account; none if we may not list them. */
  async underManagedKey(): Promise<SecretName[]> {
    const request = new DescribeParametersCommand({
      ParameterFilters: [
        { Key: "Name", Option: "BeginsWith", Values: [`/${this.prefix}/github/`] },
      ],
      MaxResults: 50,
    });
    const answer = await this.client.send(request).catch((error: unknown) => {
      if ((error as Error).name === "AccessDeniedException") {
        return undefined;
      }
      throw error;
    });
    const under = (answer?.Parameters ?? []).filter(({ KeyId }) => KeyId === MANAGED_KEY);
    return SECRET_NAMES.filter((secret) => under.some(({ Name }) => Name === this.name(secret)));
  }

  /**
   * Writes one of them as a SecureString, over what was there.
   *
   * @returns the key that it is encrypted with: the AWS-managed one while the deployment has none
   */
  async write(secret: SecretName, value: string): Promise<string> {
    if (await this.writeWithKey(secret, value)) {
      return this.key;
    }
    await this.put(secret, value);
    return MANAGED_KEY;
  }

  /** Writes one of them, unless the deployment has no key of its own; answers whether it has. */
  async writeWithKey(secret: SecretName, value: string): Promise<boolean> {
    try {
      await this.put(secret, value, this.key);
      return true;
    } catch (error) {
      if ((error as Error).name !== "InvalidKeyId" || this.keyId !== undefined) {
        throw error;
      }
      return false;
    }
  }

  private async put(secret: SecretName, value: string, keyId?: string): Promise<void> {
    await this.client.send(
      new PutParameterCommand({
        Name: this.name(secret),
        Value: value,
        Type: "SecureString",
        KeyId: keyId,
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
