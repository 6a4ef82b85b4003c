import { CronExpressionParser } from "cron-parser";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind, HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { hashText } from "./hashed.ts";

/** A mistake in one item of a field. The message is a clause: "60 is not from 0 to 59". */
export class FieldItemError extends Error {}

const ITEM = /^(?:(\*)|(H)(?:\((\w+)-(\w+)\))?|(\w+)(?:-(\w+))?)(?:\/(\w+))?$/;

/**
 * Returns the values that one plain item of a field stands for. An item is one of `*`, `5`, `1-5`, `FRI-MON`, `5/15`,
 * `H` and `H(0-29)/10`, in upper case.
 *
 * cron-parser says which values a field has. The values of an item are computed here, because cron-parser needs 60
 * microseconds and more for each item. Throws a FieldItemError that names the mistake.
 */
export function parsePlainItem(kind: FieldKind, item: string, seed: string): readonly number[] {
  const match = ITEM.exec(item);
  if (item.includes("?")) throw new FieldItemError("? is allowed in the day fields only, and only alone");
  if (match === null) throw new FieldItemError(`${item} is not a value, range or step`);
  const [, star, hash, hashFrom, hashTo, first, last, step] = match;
  const every = step === undefined ? undefined : readStep(kind, step);
  if (star !== undefined) return everyNth(membersOf(kind), every);
  if (hash !== undefined) return expandHashed(kind, seed, hashFrom, hashTo, every);
  const from = readValue(kind, first ?? "");
  if (last !== undefined) return expandRange(kind, from, readValue(kind, last), every);
  return every === undefined ? [from] : between(kind, from, kind.max, every);
}

function readValue(kind: FieldKind, text: string): number {
  const named = Object.hasOwn(kind.names, text) ? kind.names[text] : undefined;
  if (named !== undefined) return named;
  if (!/^\d+$/.test(text)) throw new FieldItemError(`${text} is not a value of this field`);
  const value = Number(text);
  if (text.length > 2) throw new FieldItemError(`${text} has more than two digits`);
  if (value < kind.min || value > kind.max) {
    throw new FieldItemError(`${text} is not from ${kind.min} to ${kind.max}`);
  }
  return value;
}

function readStep(kind: FieldKind, text: string): number {
  const step = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (step < 1 || step > kind.size)
    throw new FieldItemError(`the step ${text} is not from 1 to ${kind.size}`);
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
  if (first <= last) return between(kind, first, last, step);
  const cycle = membersOf(kind).slice(0, kind.size);
  const wrapped = [...cycle.filter((value) => value >= first), ...cycle.filter((value) => value <= last)];
  return everyNth(wrapped, step);
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
  if (from > to) throw new FieldItemError(`the range ${from}-${to} of H ends before it starts`);
  const width = to - from + 1;
  const start = from + (hashText(`${kind.label} ${seed}`) % Math.min(width, step ?? width));
  return step === undefined ? [start] : between(kind, start, to, step);
}

/** Every `step`-th value from `first` to `last`; `first` is included. */
function between(kind: FieldKind, first: number, last: number, step: number): readonly number[] {
  return membersOf(kind).filter((value) => value >= first && value <= last && (value - first) % step === 0);
}

function everyNth(values: readonly number[], step = 1): readonly number[] {
  return step === 1 ? values : values.filter((_, index) => index % step === 0);
}

/** All values of each field, ascending, as cron-parser lists them. Sunday is both 0 and 7. */
const MEMBERS = readMembers();

function membersOf(kind: FieldKind): readonly number[] {
  return MEMBERS.get(kind) ?? [];
}

function readMembers(): ReadonlyMap<FieldKind, readonly number[]> {
  const { fields } = CronExpressionParser.parse("* * * * * *", { currentDate: 0, tz: "UTC" });
  return new Map([
    [SECOND, fields.second.values],
    [MINUTE, fields.minute.values],
    [HOUR, fields.hour.values],
    [DAY_OF_MONTH, fields.dayOfMonth.values.map(Number)],
    [MONTH, fields.month.values],
    [DAY_OF_WEEK, fields.dayOfWeek.values.map(Number)],
  ]);
}
