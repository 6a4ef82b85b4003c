import { fieldFailure } from "../../mesh/errors.ts";
import type { JobStateName } from "../job/job.ts";

/** The states that a job can be in until it is deleted. */
type LivingState = Exclude<JobStateName, "DELETED">;
const STATES: readonly LivingState[] = ["ACTIVE", "PAUSED", "FINISHED"];
const TARGETS = ["webhook", "redis", "kafka"] as const;
type TargetKind = (typeof TARGETS)[number];

/** Which jobs are meant: those that all of it is true of. */
export interface JobFilter {
  readonly states: readonly LivingState[];
  /** Names that a job must have; two different ones are met by none. */
  readonly names: readonly string[];
  /** Beginnings that its name must have. */
  readonly prefixes: readonly string[];
  /** Labels that it must have, key and value. */
  readonly labels: readonly (readonly [key: string, value: string])[];
  /** Keys of labels that it must have. */
  readonly labelKeys: readonly string[];
  readonly targets: readonly TargetKind[];
}

/** The filter that every living job passes. */
export const EVERY_JOB: JobFilter = {
  states: STATES,
  names: [],
  prefixes: [],
  labels: [],
  labelKeys: [],
  targets: TARGETS,
};

const ACCEPTED =
  'accepted is: state = PAUSED, state != ACTIVE, name = "payroll", name = "pay*", labels.team = "billing", labels.team:*, target = "webhook", joined by AND.';
/** Most characters of the filter that an error repeats: it says what is accepted too, and is cut off at 256. */
const SHOWN = 40;

/**
 * Reads a filter, a small part of AIP-160; an empty one is passed by every job. Throws FIELD_INVALID for the field
 * `filter`, with the position of what is wrong (1: the first character) and what is accepted.
 *
 * 1. The text is cut into words, quoted strings and operators.
 * 2. Three of these are a restriction, and the word AND stands between two.
 * 3. Each restriction narrows the filter.
 */
export function parseJobFilter(text: string): JobFilter {
  const tokens = tokenize(text);
  let filter = EVERY_JOB;
  if (tokens.length === 0) return filter;
  for (let index = 0; ; index += 4) {
    const end: Token = { kind: "END", text: "its end", value: "", at: text.length };
    const [field = end, operator = end, value = end, and] = tokens.slice(index, index + 4);
    filter = narrow(filter, { field, operator, value });
    if (and === undefined) return filter;
    if (and.kind !== "WORD" || and.text !== "AND") throw invalid(and, "is not AND");
  }
}

/** The jobs that have all these labels. */
export function filterOfLabels(labels: Readonly<Record<string, string>>): JobFilter {
  return { ...EVERY_JOB, labels: Object.entries(labels) };
}

/** The jobs of a filter that are in one of these states. */
export function inStates(filter: JobFilter, states: readonly LivingState[]): JobFilter {
  return { ...filter, states: filter.states.filter((state) => states.includes(state)) };
}

interface Token {
  readonly kind: "WORD" | "STRING" | "OPERATOR" | "END";
  /** As it stands there. */
  readonly text: string;
  /** Without quotes. */
  readonly value: string;
  /** Place of its first character, from 0. */
  readonly at: number;
}

interface Restriction {
  readonly field: Token;
  readonly operator: Token;
  readonly value: Token;
}

const TOKEN = /\s*(?:([\w.*-]+)|"((?:[^"\\\p{Cc}]|\\["\\])*)"|(!=|[=:]))/uy;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== "") {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    const start = at + text.slice(at).search(/\S/);
    if (found === null) {
      const rest = text.slice(start);
      throw invalid({ kind: "END", text: rest, value: "", at: start }, "cannot be read");
    }
    const [whole, word, quoted] = found;
    const kind = word !== undefined ? "WORD" : quoted !== undefined ? "STRING" : "OPERATOR";
    const value = word ?? quoted?.replaceAll(/\\(.)/g, "$1") ?? "";
    tokens.push({ kind, text: whole.trim(), value, at: start });
    at = TOKEN.lastIndex;
  }
  return tokens;
}

function narrow(filter: JobFilter, restriction: Restriction): JobFilter {
  const { field, operator, value } = restriction;
  const name = field.kind === "WORD" ? field.text : "";
  if (!/^(?:state|name|target|labels\..+)$/.test(name)) throw invalid(field, "is no field to filter by");
  if (operator.kind !== "OPERATOR") throw invalid(operator, "is no operator");
  const known = value.kind === "STRING" || (value.kind === "WORD" && !/^(?:AND|OR|NOT)$/.test(value.text));
  if (!known) throw invalid(value, "is no value");
  if (name === "state") {
    const prefixed = value.value.replace(/^JOB_STATE_/, "");
    return { ...filter, states: choose(filter.states, STATES, restriction, prefixed) };
  }
  if (name === "target") {
    return { ...filter, targets: choose(filter.targets, TARGETS, restriction, value.value) };
  }
  return name === "name" ? narrowName(filter, restriction) : narrowLabel(filter, restriction);
}

function choose<T extends string>(
  left: readonly T[],
  all: readonly T[],
  { operator, value }: Restriction,
  wanted: string,
): readonly T[] {
  if (operator.text === ":") throw invalid(operator, "is for labels only");
  if (!all.some((each) => each === wanted)) throw invalid(value, `is none of ${all.join(", ")}`);
  return left.filter((each) => (each === wanted) === (operator.text === "="));
}

function narrowName(filter: JobFilter, { operator, value }: Restriction): JobFilter {
  if (operator.text !== "=") throw invalid(operator, "is not = before a name");
  const [start = "", ...rest] = value.value.split("*");
  if (rest.length === 0) return { ...filter, names: [...filter.names, start] };
  if (rest.length > 1 || rest[0] !== "") throw invalid(value, "has a * that is not its end");
  return { ...filter, prefixes: [...filter.prefixes, start] };
}

const LABEL_KEY = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

function narrowLabel(filter: JobFilter, { field, operator, value }: Restriction): JobFilter {
  const key = field.text.slice("labels.".length);
  if (!LABEL_KEY.test(key)) throw invalid(field, "is no key of a label");
  if (operator.text === ":") {
    if (value.text !== "*") throw invalid(value, "is not * after a colon");
    return { ...filter, labelKeys: [...filter.labelKeys, key] };
  }
  if (operator.text !== "=") throw invalid(operator, "is neither = nor : after a label");
  // What AIP-160 would read as a beginning is not passed off as a value that no job has.
  if (value.value.includes("*")) throw invalid(value, "has a *, which is for names only");
  return { ...filter, labels: [...filter.labels, [key, value.value]] };
}

function invalid({ text, at }: Token, problem: string): Error {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  return fieldFailure("FIELD_INVALID", "filter", `at character ${at + 1}, ${shown} ${problem}; ${ACCEPTED}`);
}
