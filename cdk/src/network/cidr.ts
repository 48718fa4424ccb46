import { Token } from "aws-cdk-lib";
import { invalidProp } from "../invalid-prop";

// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html and subnet-sizing.html
const LARGEST = 16;
const SMALLEST_SUBNET = 28;

/**
 * Refuses what is no IPv4 block, and one that is too large for a VPC or too small for its subnets.
 *
 * @param prop the prop's name, for the error
 * @param subnets how many subnets of one size the block is divided into
 */
export function checkCidr(prop: string, cidr: string, subnets: number): void {
  if (Token.isUnresolved(cidr)) {
    return;
  }
  const smallest = SMALLEST_SUBNET - Math.ceil(Math.log2(subnets));
  const [, address = "", size = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(cidr) ?? [];
  const isAddress =
    /^\d{1,3}(\.\d{1,3}){3}$/.test(address) &&
    address.split(".").every((byte) => Number(byte) <= 255);
  const fits = size !== "" && Number(size) >= LARGEST && Number(size) <= smallest;
  if (!isAddress || !fits) {
    const allowed =
      `an IPv4 block from /${LARGEST} to /${smallest} with room for ${subnets} subnets, ` +
      "such as 10.0.0.0/16";
    throw invalidProp(prop, cidr, allowed);
  }
}
