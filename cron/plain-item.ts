import { CronExpressionParser } from "cron-parser";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind, HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { hashText } from "./hashed.ts";

/** A mistake in one item of a field; its message is a clause ("60 is out of range"). */
export class ItemError extends Error {}

const ITEM = /^(?:(\*)|(H)(?:\((\w+)-(\w+)\))?|(\w+)(?:-(\w+))?)(?:\/(\w+))?$/;

/**
 * Returns the members of one plain item of a field (`*`, `5`, `1-5`, `FRI-MON`, `5/15`, `H`, `H(0-29)/10`), in
 * upper case.
 *
 * The item is checked and rewritten to what cron-parser understands (names to numbers, `H` to the values the seed
 * picks, wrap-around ranges to lists), which then expands it. Throws an ItemError naming the mistake.
 */
export function parsePlainItem(kind: FieldKind, item: string, seed: string): readonly number[] {
  const match = ITEM.exec(item);
  if (item.includes("?")) throw new ItemError("? stands alone, and in the day fields only");
  if (match === null) throw new ItemError(`${item} is not a value, range or step`);
  const [, star, hash, hashFrom, hashTo, first, last, step] = match;
  const every = step === undefined ? undefined : readStep(kind, step);
  if (star !== undefined) return expand(kind, item);
  if (hash !== undefined) return expandHashed(kind, seed, hashFrom, hashTo, every);
  const from = readValue(kind, first ?? "");
  if (last === undefined) return expand(kind, every === undefined ? `${from}` : `${from}/${every}`);
  return expandRange(kind, from, readValue(kind, last), every);
}

function readValue(kind: FieldKind, text: string): number {
  const named = Object.hasOwn(kind.names, text) ? kind.names[text] : undefined;
  if (named !== undefined) return named;
  if (!/^\d+$/.test(text)) throw new ItemError(`${text} is not a value of this field`);
  const value = Number(text);
  if (text.length > 2 || value < kind.min || value > kind.max) throw new ItemError(`${text} is out of range`);
  return value;
}

function readStep(kind: FieldKind, text: string): number {
  const step = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (step < 1 || step > kind.size) throw new ItemError(`the step ${text} is not from 1 to ${kind.size}`);
  return step;
}

function expandRange(kind: FieldKind, from: number, to: number, step = 1): readonly number[] {
  let first = from;
  let last = to;
  if (kind === DAY_OF_WEEK && to !== from) {
    // Sunday is the first day when a range starts with it and the last when a range ends with it.
    if (first === 7) first = 0;
    else if (last === 0) last = 7;
  }
  if (first <= last) return expand(kind, `${first}-${last}/${step}`);
  const values: number[] = [];
  for (let n = 0; n <= last - first + kind.size; n += step) {
    values.push(kind.min + ((first - kind.min + n) % kind.size));
  }
  return values.flatMap((value) => expand(kind, `${value}`));
}

function expandHashed(
  kind: FieldKind,
  seed: string,
  fromText: string | undefined,
  toText: string | undefined,
  step: number | undefined,
): readonly number[] {
  const from = fromText === undefined ? kind.min : readValue(kind, fromText);
  const stepEnd = kind === DAY_OF_WEEK ? 6 : kind.max;
  const to = toText === undefined ? (step === undefined ? kind.hashMax : stepEnd) : readValue(kind, toText);
  if (from > to) throw new ItemError(`the range of H ends before it starts`);
  const width = to - from + 1;
  const start = from + (hashText(`${kind.label} ${seed}`) % Math.min(width, step ?? width));
  return expand(kind, step === undefined ? `${start}` : `${start}-${to}/${step}`);
}

/** Where each field stands in a six-field expression. */
const POSITIONS = [SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK] as const;

/** The most items remembered before the memory starts anew; all numbers, steps and short ranges fit. */
const MAX_REMEMBERED = 2_048;
const remembered = new Map<string, readonly number[]>();

/**
 * Expands one checked item with cron-parser, which needs 10 microseconds for it, and remembers the answer.
 * The months are left out, because cron-parser throws on impossible dates, which are for `neverFires` to tell.
 */
function expand(kind: FieldKind, item: string): readonly number[] {
  const key = `${kind.label} ${item}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const fields = POSITIONS.map((position) => (position === kind ? item : "*"));
  const parsed = CronExpressionParser.parse(fields.join(" "), { currentDate: 0, tz: "UTC" }).fields;
  const members = [
    parsed.second,
    parsed.minute,
    parsed.hour,
    parsed.dayOfMonth,
    parsed.month,
    parsed.dayOfWeek,
  ];
  const values = (members[POSITIONS.indexOf(kind)]?.values ?? []).map(Number);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(key, values);
  return values;
}
