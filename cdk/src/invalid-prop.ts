/** A prop that can't be deployed: names the prop, what it was, and what is allowed. */
export class InvalidProp extends Error {
  constructor(
    /** Name as the user wrote it, for example `cpu` or `github.apiUrl`. */
    readonly prop: string,
    /** What was given. */
    readonly value: unknown,
    /** The allowed values, as the rest of the sentence "Allowed: ...". */
    readonly allowed: string,
  ) {
    super(`Invalid ${prop}: ${JSON.stringify(value) ?? "undefined"}. Allowed: ${allowed}.`);
    this.name = "InvalidProp";
  }
}

/** The error for a prop that can't be deployed, see {@link InvalidProp}. */
export function invalidProp(prop: string, value: unknown, allowed: string): InvalidProp {
  return new InvalidProp(prop, value, allowed);
}

/** A prop with few values, checked: not everybody has a compiler that does it. */
export function oneOf<T extends string>(prop: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) {
    throw invalidProp(prop, value, allowed.map((each) => `"${each}"`).join(" or "));
  }
  return value;
}
