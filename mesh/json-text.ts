/** The keys and the indexes that lead to a value in a JSON text. Empty for the whole text. */
export type JsonPath = readonly (string | number)[];

/** What `scanJson` reports. The path is one array that changes: copy it to keep it. */
export interface JsonVisitor {
  /** Called with each value, at its end. `start` and `end` are its place in the text; `end` is exclusive. */
  readonly value?: (path: JsonPath, start: number, end: number) => void;
  /** Called with each key that its object has had before. */
  readonly duplicate?: (path: JsonPath) => void;
}

interface OpenValue {
  readonly start: number;
  /** The keys of an object so far; null for a list. */
  readonly keys: Set<string> | null;
}

const BETWEEN = /[ \t\r\n:]+/y;
const SCALAR = /[^ \t\r\n,\]}]+/y;

/**
 * Reports the values of a JSON text with their places in it, and the keys that an object has twice. `JSON.parse` must
 * have accepted the text before. The depth of the text is limited by memory only.
 */
export function scanJson(text: string, visitor: JsonVisitor): void {
  const path: (string | number)[] = [];
  const open: OpenValue[] = [];
  let isKeyNext = false;
  const report = (start: number, end: number) => visitor.value?.(path, start, end);
  for (let at = endOf(BETWEEN, text, 0); at < text.length; at = endOf(BETWEEN, text, at)) {
    const character = text[at];
    if (character === "{" || character === "[") {
      const isObject = character === "{";
      open.push({ start: at, keys: isObject ? new Set() : null });
      path.push(isObject ? "" : 0);
      isKeyNext = isObject;
      at += 1;
    } else if (character === "}" || character === "]") {
      path.pop();
      isKeyNext = false;
      at += 1;
      report(open.pop()?.start ?? 0, at);
    } else if (character === ",") {
      const last = path.length - 1;
      if (open.at(-1)?.keys === null) path[last] = Number(path[last]) + 1;
      else isKeyNext = true;
      at += 1;
    } else if (character === '"') {
      const end = endOfString(text, at);
      if (isKeyNext) {
        const key = JSON.parse(text.slice(at, end)) as string;
        const keys = open.at(-1)?.keys;
        path[path.length - 1] = key;
        if (keys?.has(key)) visitor.duplicate?.(path);
        keys?.add(key);
        isKeyNext = false;
      } else report(at, end);
      at = end;
    } else {
      const start = at;
      at = Math.max(endOf(SCALAR, text, at), at + 1);
      report(start, at);
    }
  }
}

/** Returns the index behind the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Returns a JSON text without the white space between its tokens. Everything else stays as it is. */
export function compactJson(text: string): string {
  return text.replace(/("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+/g, "$1");
}

/**
 * Returns whether a double keeps the number that a JSON text writes: whether it can be written as the same decimal
 * number again. `0.1` and `9007199254740994` are kept, `9007199254740993`, `1e400`, `1e-400` and `-0` are not.
 */
export function isKeptByDouble(number: string): boolean {
  if (/^-?[1-9]\d{0,14}$/.test(number)) return true;
  const value = Number(number);
  return Number.isFinite(value) && toDecimal(number) === toDecimal(`${value}`);
}

/** Returns a number in a form that is the same for all its spellings: its sign, its digits and an exponent. */
function toDecimal(number: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const digits = `${whole}${fraction}`;
  const first = digits.search(/[1-9]/);
  if (first === -1) return `${sign}0`;
  // A regular expression for the zeros at the end would look at those in the middle again and again.
  let end = digits.length;
  while (digits[end - 1] === "0") end -= 1;
  return `${sign}${digits.slice(first, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}
