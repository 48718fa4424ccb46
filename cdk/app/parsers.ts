/**
 * Turns a value of the configuration into its type. Values of `-c KEY=VALUE` are text, those of a
 * file are JSON; both are accepted everywhere.
 *
 * @param where the key, for the error
 */
export type Parser<T> = (value: unknown, where: string) => T;

/** A text that isn't empty. */
export const text: Parser<string> = (value, where) => {
  if (typeof value !== "string" || value === "") {
    throw wrong(where, value, "a text");
  }
  return value;
};

/** true or false. */
export const boolean: Parser<boolean> = (value, where) => {
  if (value === true || value === "true") {
    return true;
  }
  if (value === false || value === "false") {
    return false;
  }
  throw wrong(where, value, "true or false");
};

/** A whole number that isn't negative. */
export const int: Parser<number> = (value, where) => {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw wrong(where, value, "a whole number");
  }
  return number;
};

/** A number that isn't negative, such as 0.5. */
export const decimal: Parser<number> = (value, where) => {
  const number = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || number < 0) {
    throw wrong(where, value, "a number");
  }
  return number;
};

/** Several words: a JSON array, or one text separated by commas or spaces. */
export const list: Parser<string[]> = (value, where) => {
  const given = typeof value === "string" && value.startsWith("[") ? fromJson(value) : value;
  const items = typeof given === "string" ? given.split(/[\s,]+/).filter((item) => item) : given;
  if (!Array.isArray(items) || !items.every((item) => typeof item === "string")) {
    throw wrong(where, value, "a list of texts");
  }
  return items as string[];
};

/** One of a few words. */
export function oneOf<T extends string>(...words: T[]): Parser<T> {
  return (value, where) => {
    if (!words.includes(value as T)) {
      throw wrong(where, value, words.join(", "));
    }
    return value as T;
  };
}

/** An array; from the command line, its JSON. */
export function listOf<T>(item: Parser<T>): Parser<T[]> {
  return (value, where) => {
    const items = fromJson(value);
    if (!Array.isArray(items)) {
      throw wrong(where, value, "a JSON array");
    }
    return items.map((element, index) => item(element, `${where}[${index}]`));
  };
}

/** An object; from the command line, its JSON. */
export function nested<T>(parse: (value: Record<string, unknown>, where: string) => T): Parser<T> {
  return (value, where) => {
    const object = fromJson(value);
    if (typeof object !== "object" || object === null || Array.isArray(object)) {
      throw wrong(where, value, "a JSON object");
    }
    return parse(object as Record<string, unknown>, where);
  };
}

/** An object of whole numbers under any names; from the command line, its JSON. */
export const counts: Parser<Record<string, number>> = nested((value, where) =>
  Object.fromEntries(
    Object.entries(value).map(([name, count]) => [name, int(count, `${where}.${name}`)]),
  ),
);

/** A whole number, or an object. */
export function intOr<T>(object: Parser<T>): Parser<number | T> {
  return (value, where) => {
    const given = fromJson(value);
    if (typeof given === "object" && given !== null) {
      return object(given, where);
    }
    if (typeof given !== "number") {
      throw wrong(where, value, "a whole number or a JSON object");
    }
    return int(given, where);
  };
}

function fromJson(value: unknown): unknown {
  if (typeof value !== "string") {
    return value;
  }
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** The error for a value of the wrong kind. */
export function wrong(where: string, value: unknown, allowed: string): Error {
  return new Error(`Invalid ${where}: ${JSON.stringify(value)}. Allowed: ${allowed}.`);
}
