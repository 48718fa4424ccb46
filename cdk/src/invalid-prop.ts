/**
 * The error for a prop that can't be deployed: names the prop, what it was, and what is allowed.
 *
 * @param prop name as the user wrote it, for example `cpu` or `runners[1].labels`
 * @param value what was given
 * @param allowed the allowed values, as the rest of the sentence "Allowed: ..."
 */
export function invalidProp(prop: string, value: unknown, allowed: string): Error {
  return new Error(
    `Invalid ${prop}: ${JSON.stringify(value) ?? "undefined"}. Allowed: ${allowed}.`,
  );
}
