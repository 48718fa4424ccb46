import { RemovalPolicy, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import { Construct } from "constructs";
import { secretArn } from "./handlers/grants";
import { DeployedHandlers, handlerSpec, STANDING_HANDLERS } from "./handlers/record";
import { Names } from "./names";

/** What the key of the App's secrets needs. */
export interface SecretsKeyProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** The functions, of which some read secrets. */
  readonly handlers: DeployedHandlers;
  /** Who may decrypt besides the functions. */
  readonly readers: readonly iam.IPrincipal[];
}

/**
 * The key of the App's secrets. Only the functions may decrypt with it, each its own secrets, and
 * only through Parameter Store: the right to read parameters is no longer enough. The AWS-managed
 * key, in contrast, decrypts for every principal of the account.
 *
 * Administrators of the account can still manage it, and so can change its policy: a key that
 * nobody can manage can't be repaired.
 */
export class SecretsKey extends Construct {
  /** The key; `fargate-runners setup` finds it by its alias. */
  readonly key: kms.Key;

  constructor(scope: Construct, id: string, props: SecretsKeyProps) {
    super(scope, id);
    const { names, handlers } = props;
    const viaParameterStore = {
      "kms:ViaService": `ssm.${Stack.of(this).region}.amazonaws.com`,
    };
    const through = (principals: readonly iam.IPrincipal[], actions: string[], arns: string[]) =>
      new iam.PolicyStatement({
        principals: [...principals],
        actions,
        resources: ["*"],
        conditions: {
          StringEquals: viaParameterStore,
          StringLike: { "kms:EncryptionContext:PARAMETER_ARN": arns },
        },
      });
    const all = names.parameterArn(`${names.githubParameters}/*`);
    const account = new iam.AccountRootPrincipal();
    const statements = [
      new iam.PolicyStatement({ principals: [account], actions: ADMINISTRATION, resources: ["*"] }),
      // Whoever may write the parameters may write them with this key, without reading them.
      through([account], ["kms:Encrypt", "kms:GenerateDataKey"], [all]),
    ];
    for (const name of STANDING_HANDLERS) {
      const { secrets } = handlerSpec(name);
      if (secrets !== undefined) {
        const arns = secrets.map((secret) => secretArn(names, secret));
        const { role } = handlers[name].function;
        statements.push(through([role!.grantPrincipal], ["kms:Decrypt"], arns));
      }
    }
    if (props.readers.length > 0) {
      statements.push(through(props.readers, ["kms:Decrypt"], [all]));
    }
    this.key = new kms.Key(this, "Key", {
      alias: names.secretsKeyAlias,
      description: `Secrets of the GitHub App of ${names.prefix}`,
      enableKeyRotation: true,
      policy: new iam.PolicyDocument({ statements }),
      // The secrets are elsewhere too: at GitHub and with whoever set them up.
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}

/**
 * Everything but using the key. Not CreateGrant: a grant is a use by somebody else.
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html#key-policy-default-allow-administrators
 */
const ADMINISTRATION = [
  "kms:DescribeKey",
  "kms:GetKeyPolicy",
  "kms:PutKeyPolicy",
  "kms:ListKeyPolicies",
  "kms:ListGrants",
  "kms:RevokeGrant",
  "kms:GetKeyRotationStatus",
  "kms:ListKeyRotations",
  "kms:EnableKeyRotation",
  "kms:DisableKeyRotation",
  "kms:EnableKey",
  "kms:DisableKey",
  "kms:UpdateKeyDescription",
  "kms:CreateAlias",
  "kms:UpdateAlias",
  "kms:DeleteAlias",
  "kms:ListResourceTags",
  "kms:TagResource",
  "kms:UntagResource",
  "kms:ScheduleKeyDeletion",
  "kms:CancelKeyDeletion",
];
