import { fieldFailure } from "../../mesh/errors.ts";
import type { JobStateName } from "../job/job.ts";

/** The states of a job that is not deleted. */
type LivingState = Exclude<JobStateName, "DELETED">;
const STATES: readonly LivingState[] = ["ACTIVE", "PAUSED", "DISABLED", "FINISHED"];
const TARGETS = ["webhook", "redis", "kafka"] as const;
type TargetKind = (typeof TARGETS)[number];

/** A filter of jobs. A job matches if it meets all conditions. */
export interface JobFilter {
  /** A job must be in one of these states. */
  readonly states: readonly LivingState[];
  /** A job must have each of these names, so two different names match no job. */
  readonly names: readonly string[];
  /** A job's name must begin with each of these. */
  readonly prefixes: readonly string[];
  /** A job must have each of these labels, by key and value. */
  readonly labels: readonly (readonly [key: string, value: string])[];
  /** A job must have a label with each of these keys. */
  readonly labelKeys: readonly string[];
  /** A job must have one of these targets. */
  readonly targets: readonly TargetKind[];
}

/** The filter that every job matches, unless it is deleted. */
export const EVERY_JOB: JobFilter = {
  states: STATES,
  names: [],
  prefixes: [],
  labels: [],
  labelKeys: [],
  targets: TARGETS,
};

const ACCEPTED =
  'accepted, joined by AND: state = PAUSED, state != ACTIVE, name = "payroll", name = "pay*", labels.team = "billing", labels.team:*, target = "webhook".';
/**
 * The most characters of the filter that an error repeats. An error is cut at 256 characters, and `ACCEPTED` needs
 * most.
 */
const SHOWN = 40;

/**
 * Parses a filter, in a small part of the language of AIP-160. Every job matches an empty filter. Throws FIELD_INVALID
 * for the field `filter`, with the position of the fault (the first character has position 1) and what is accepted.
 *
 * 1. The text is split into words, quoted strings and operators.
 * 2. Three tokens are a restriction, such as `state = PAUSED`. The word AND separates two restrictions.
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

/** Returns the filter of the jobs that have all these labels. */
export function filterOfLabels(labels: Readonly<Record<string, string>>): JobFilter {
  return { ...EVERY_JOB, labels: Object.entries(labels) };
}

/** Returns the filter of the jobs that match `filter` and are in one of these states. */
export function inStates(filter: JobFilter, states: readonly LivingState[]): JobFilter {
  return { ...filter, states: filter.states.filter((state) => states.includes(state)) };
}

interface Token {
  readonly kind: "WORD" | "STRING" | "OPERATOR" | "END";
  /** As written in the filter. */
  readonly text: string;
  /** Without quotes and escapes. */
  readonly value: string;
  /** The position of its first character, counted from 0. */
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
  if (!/^(?:state|name|target|labels\..+)$/.test(name)) throw invalid(field, "is not a field to filter by");
  if (operator.kind !== "OPERATOR") throw invalid(operator, "is not an operator");
  const known = value.kind === "STRING" || (value.kind === "WORD" && !/^(?:AND|OR|NOT)$/.test(value.text));
  if (!known) throw invalid(value, "is not a value");
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
  if (operator.text === ":") throw invalid(operator, "is allowed for labels only");
  if (!all.some((each) => each === wanted)) throw invalid(value, `is not one of ${all.join(", ")}`);
  return left.filter((each) => (each === wanted) === (operator.text === "="));
}

function narrowName(filter: JobFilter, { operator, value }: Restriction): JobFilter {
  if (operator.text !== "=") throw invalid(operator, "is not allowed for name, only = is");
  const [start = "", ...rest] = value.value.split("*");
  if (rest.length === 0) return { ...filter, names: [...filter.names, start] };
  if (rest.length > 1 || rest[0] !== "") throw invalid(value, "has a * that is not at the end");
  return { ...filter, prefixes: [...filter.prefixes, start] };
}

const LABEL_KEY = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

function narrowLabel(filter: JobFilter, { field, operator, value }: Restriction): JobFilter {
  const key = field.text.slice("labels.".length);
  if (!LABEL_KEY.test(key)) throw invalid(field, "is not a label key");
  if (operator.text === ":") {
    if (value.text !== "*") throw invalid(value, "is not *, the only value after :");
    return { ...filter, labelKeys: [...filter.labelKeys, key] };
  }
  if (operator.text !== "=") throw invalid(operator, "is not allowed for a label, only = and : are");
  // AIP-160 reads a * as a prefix match. Refusing it is better than looking for a label that contains a *.
  if (value.value.includes("*")) throw invalid(value, "has a *, allowed for names only");
  return { ...filter, labels: [...filter.labels, [key, value.value]] };
}

function invalid({ text, at }: Token, problem: string): Error {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  return fieldFailure("FIELD_INVALID", "filter", `at character ${at + 1}, ${shown} ${problem}; ${ACCEPTED}`);
}
