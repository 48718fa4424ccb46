import { FARGATE } from "../src/runners/capacity";
import { list, nested, Parser, text, wrong } from "./parsers";

/** The ARN of a key of KMS; not of an alias, which a policy can't name. */
export const keyArn = arn(
  "key",
  "kms:REGION:ACCOUNT:key/ID",
  /^kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/,
);

/** The ARN of a managed policy. */
export const policyArn = arn(
  "policy",
  "iam::ACCOUNT:policy/NAME",
  /^iam::(\d{12}|aws):policy\/[\w+=,.@/-]+$/,
);

/** The ARN of a topic of SNS. */
export const topicArn = arn(
  "topic",
  "sns:REGION:ACCOUNT:NAME",
  /^sns:[a-z0-9-]+:\d{12}:[\w-]+(\.fifo)?$/,
);

/** ARNs of roles or users; a session of a role is named by its role. */
export const principalArns = several(
  arn(
    "role or user",
    "iam::ACCOUNT:role/NAME or …:user/NAME",
    /^iam::\d{12}:(role|user)\/[\w+=,.@/-]+$/,
  ),
);

/** ARNs of roles by repository; the construct checks the patterns and the roles' path. */
export const rolesByRepository: Parser<Record<string, string>> = nested((value, where) => {
  const role = arn("role", "iam::ACCOUNT:role/PATH/NAME", /^iam::\d{12}:role\/[\w+=,.@/-]+$/);
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, role(one, `${where}.${key}`)]),
  );
});

/** The id of a VPC. */
export const vpcId = id("vpc");
/** Ids of subnets. */
export const subnetIds = several(id("subnet"));
/** Ids of security groups. */
export const securityGroupIds = several(id("sg"));

/** Fargate's capacity providers. */
export const fargateCapacity = several((value, where) => {
  if (!FARGATE.includes(value as string)) {
    throw wrong(where, value, `${FARGATE.join(", ")}, in order of preference`);
  }
  return value as string;
});

function arn(what: string, form: string, pattern: RegExp): Parser<string> {
  return (value, where) => {
    const given = text(value, where);
    const [, rest = ""] = /^arn:aws[a-z-]*:(.*)$/.exec(given) ?? [];
    if (!pattern.test(rest)) {
      throw wrong(where, value, `a ${what}'s ARN, arn:aws:${form}`);
    }
    return given;
  };
}

function id(kind: string): Parser<string> {
  return (value, where) => {
    const given = text(value, where);
    if (!new RegExp(`^${kind}-([0-9a-f]{8}|[0-9a-f]{17})$`).test(given)) {
      throw wrong(where, value, `an id like ${kind}-0123456789abcdef0`);
    }
    return given;
  };
}

function several(one: Parser<string>): Parser<string[]> {
  return (value, where) => list(value, where).map((item) => one(item, where));
}
