import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { FIRST_YEAR, LAST_YEAR } from "../../cron/zone-offsets.ts";
import type { FieldViolation } from "../../mesh/errors.ts";
import { messagesIn } from "../edge/field-value.ts";
import { isOutputOnly } from "../edge/output-only.ts";
import { showDuration, showTimestamp } from "./show-time.ts";

/*
 * EasyCron stores time in whole milliseconds. A finer duration, or a finer instant in a job, would have to be
 * rounded. The rounded value could be within a bound that the given value breaks, or the job could fire at another
 * moment than requested. So this file refuses it, for all requests. An instant outside a job only says where to look,
 * and is often the present time of a clock: it is rounded.
 */

const NANOS_OF_A_MS = 1_000_000;
const MAX_NANOS = 999_999_999;
/** The limit of google.protobuf.Duration: about 10,000 years. */
const MAX_DURATION_SECONDS = 315_576_000_000n;
const FIRST_SECOND = BigInt(Date.UTC(FIRST_YEAR, 0, 1) / 1_000);
const END_SECOND = BigInt(Date.UTC(LAST_YEAR + 1, 0, 1) / 1_000);

/**
 * The durations of a request, and the instants of a job in it, that are not whole milliseconds, the instants outside
 * the years 1900 to 2400, and the durations that are none, each with its JSON path.
 */
export function timeViolations(schema: DescMessage, message: Message): FieldViolation[] {
  const found: FieldViolation[] = [];
  inMessage(schema, message, { path: "", isInJob: false }, found);
  return found;
}

interface Place {
  readonly path: string;
  readonly isInJob: boolean;
}

function inMessage(schema: DescMessage, message: Message, { path, isInJob }: Place, found: FieldViolation[]) {
  const within = isInJob || schema.typeName === JOB;
  for (const field of timedFields(schema)) {
    for (const [key, child] of messagesIn(message, field)) {
      const at = `${path === "" ? "" : `${path}.`}${field.jsonName}${key}`;
      inChild(field.message as DescMessage, child, { path: at, isInJob: within }, found);
    }
  }
}

function inChild(schema: DescMessage, message: Message, place: Place, found: FieldViolation[]) {
  const description = problemOf(schema, message, place.isInJob);
  if (description === undefined) inMessage(schema, message, place, found);
  else found.push({ field: place.path, description });
}

function problemOf({ typeName }: DescMessage, message: Message, isInJob: boolean): string | undefined {
  if (typeName === TIMESTAMP) return timestampProblem(message as Timestamp, isInJob);
  if (typeName === DURATION) return durationProblem(message as Duration);
  return undefined;
}

function timestampProblem(time: Timestamp, inJob: boolean): string | undefined {
  const it = `it is ${showTimestamp(time)}.`;
  if (time.seconds < FIRST_SECOND || time.seconds >= END_SECOND)
    return `Must be a time from ${FIRST_YEAR}-01-01T00:00:00Z to ${LAST_YEAR}-12-31T23:59:59.999Z; ${it}`;
  const fits = inJob ? isWholeMs(time.nanos) : time.nanos <= MAX_NANOS;
  return fits && time.nanos >= 0 ? undefined : `Must be a whole number of milliseconds; ${it}`;
}

function durationProblem({ seconds, nanos, ...rest }: Duration): string | undefined {
  const it = `it is ${showDuration({ seconds, nanos, ...rest })}.`;
  const agree = seconds === 0n || nanos === 0 || seconds < 0n === nanos < 0;
  if (!agree || seconds > MAX_DURATION_SECONDS || seconds < -MAX_DURATION_SECONDS)
    return `Must be a duration of at most ${MAX_DURATION_SECONDS}s, with seconds and nanos of the same sign; ${it}`;
  return isWholeMs(nanos) ? undefined : `Must be a whole number of milliseconds; ${it}`;
}

function isWholeMs(nanos: number): boolean {
  return Math.abs(nanos) <= MAX_NANOS && nanos % NANOS_OF_A_MS === 0;
}

const JOB = "easycron.v1.Job";
const TIMESTAMP = "google.protobuf.Timestamp";
const DURATION = "google.protobuf.Duration";
const known = new Map<DescMessage, readonly DescField[]>();

/** The fields of a message in which an instant or a duration may be, however deep; found once for each type. */
function timedFields(schema: DescMessage, within: readonly DescMessage[] = []): readonly DescField[] {
  const found = known.get(schema);
  if (found !== undefined) return found;
  if (within.includes(schema)) return [];
  const fields = schema.fields.filter((field) => {
    const { message } = field;
    // What only the server sets is ignored in a request.
    if (message === undefined || isOutputOnly(field)) return false;
    if (message.typeName === TIMESTAMP || message.typeName === DURATION) return true;
    return timedFields(message, [...within, schema]).length > 0;
  });
  known.set(schema, fields);
  return fields;
}
