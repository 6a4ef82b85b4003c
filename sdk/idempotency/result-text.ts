const MAX_LENGTH = 65_536;

/** The text that is stored for what a handler returned. */
export interface ResultText {
  /** JSON. Empty for undefined, and when the value cannot be stored. */
  readonly text: string;
  /** Why the value cannot be stored. */
  readonly problem: Error | undefined;
}

/** Converts what a handler returned to JSON of at most 65,536 characters. Never throws. */
export function toResultText(value: unknown): ResultText {
  try {
    const text = JSON.stringify(value) ?? "";
    if (text.length <= MAX_LENGTH) return { text, problem: undefined };
    return toProblem(`has ${text.length} characters as JSON; at most ${MAX_LENGTH} are kept`);
  } catch (error) {
    return toProblem("is not JSON", error);
  }
}

function toProblem(what: string, cause?: unknown): ResultText {
  const message = `The handler ran and counts as done, but its result ${what}. Return a smaller value, or none.`;
  return { text: "", problem: new TypeError(message, { cause }) };
}

/** Converts the text back. */
export function fromResultText(text: string): unknown {
  return text === "" ? undefined : JSON.parse(text);
}
