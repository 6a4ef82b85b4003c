import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { durationFromMs, FieldMaskSchema, timestampFromDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type FieldViolation, InvalidArgumentError } from "./easycron-error.ts";
import { nameOfValue } from "./enum-names.ts";
import { JobSchema } from "./gen/easycron/v1/job_pb.ts";
import { isInstant } from "./instant.ts";

/** The number of levels that a payload may have. */
const MAX_DEPTH = 100;
const DURATION = /^-?\d{1,12}(\.\d{1,3})?s$/;

/**
 * Makes a message from a plain object. Throws an InvalidArgumentError that names every unknown field and every value
 * of a wrong type, by its path from the request.
 */
export function encode<Desc extends DescMessage>(desc: Desc, value: unknown): MessageShape<Desc> {
  const violations: FieldViolation[] = [];
  const message = toMessage(desc, value, "", violations);
  if (violations.length > 0) throw InvalidArgumentError.forViolations(violations);
  // Without a violation, every value has the type that its field has.
  return message as MessageShape<Desc>;
}

/** Converts one value, or adds a violation and returns undefined. */
type Convert = (value: unknown, path: string, violations: FieldViolation[]) => unknown;

function toMessage(
  desc: DescMessage,
  value: unknown,
  path: string,
  violations: FieldViolation[],
): Message | undefined {
  const convert = WELL_KNOWN[desc.typeName];
  if (convert !== undefined) return convert(value, path, violations) as Message | undefined;
  if (!isPlainObject(value)) {
    violations.push(wrong(path, value, `an object with the fields of ${desc.name}`));
    return undefined;
  }
  const fields = new Map(desc.fields.map((field) => [field.localName, field]));
  const init: Record<string, unknown> = {};
  const given = desc.typeName === JobSchema.typeName ? withoutSugar(value, path, violations) : value;
  for (const [name, member] of Object.entries(given)) {
    if (member === undefined) continue;
    const field = fields.get(name);
    if (field === undefined) {
      violations.push(unknownField(desc, join(path, name)));
      continue;
    }
    const converted = toFieldValue(field, member, join(path, name), violations);
    if (field.oneof === undefined) init[name] = converted;
    else if (init[field.oneof.localName] === undefined) {
      init[field.oneof.localName] = { case: name, value: converted };
    } else violations.push(secondOfOneof(field, join(path, name)));
  }
  return violations.length === 0 ? create(desc, init) : undefined;
}

/**
 * Replaces `schedule` by `schedules`. Leaves out `warnings`, which a job has that came back from a change.
 */
function withoutSugar(
  { schedule, warnings: _warnings, ...job }: Record<string, unknown>,
  path: string,
  violations: FieldViolation[],
): Record<string, unknown> {
  if (schedule === undefined) return job;
  if (job.schedules !== undefined) {
    violations.push({
      field: join(path, "schedule"),
      description: "cannot be set beside schedules; set one.",
    });
  }
  if (!isPlainObject(schedule)) {
    const wanted = 'a schedule, such as cron("0 9 * * 1-5", "Europe/Paris")';
    violations.push(wrong(join(path, "schedule"), schedule, wanted));
    return job;
  }
  return { ...job, schedules: [schedule] };
}

function toFieldValue(field: DescField, value: unknown, path: string, violations: FieldViolation[]): unknown {
  switch (field.fieldKind) {
    case "message":
      return toMessage(field.message, value, path, violations);
    case "enum":
      return toEnum(field.enum, value, path, violations);
    case "scalar":
      return toScalar(field.scalar, value, path, violations);
    case "list": {
      if (!Array.isArray(value)) return void violations.push(wrong(path, value, "an array"));
      return value.map((item, index) => toItem(field, item, `${path}[${index}]`, violations));
    }
    case "map": {
      if (!isPlainObject(value)) return void violations.push(wrong(path, value, "an object"));
      const entries = Object.entries(value).filter(([, item]) => item !== undefined);
      return Object.fromEntries(
        entries.map(([key, item]) => [
          key,
          toItem(field, item, `${path}[${JSON.stringify(key)}]`, violations),
        ]),
      );
    }
  }
}

function toItem(
  field: DescField & { fieldKind: "list" | "map" },
  item: unknown,
  path: string,
  violations: FieldViolation[],
): unknown {
  const { message, enum: ofEnum, scalar } = field;
  if (message !== undefined) return toMessage(message, item, path, violations);
  if (ofEnum !== undefined) return toEnum(ofEnum, item, path, violations);
  return toScalar(scalar ?? ScalarType.STRING, item, path, violations);
}

function toEnum(desc: DescEnum, value: unknown, path: string, violations: FieldViolation[]): unknown {
  const known = desc.values.filter(({ number }) => number !== 0);
  const found = known.find((one) => nameOfValue(desc, one) === value);
  if (found !== undefined) return found.number;
  violations.push(wrong(path, value, known.map((one) => JSON.stringify(nameOfValue(desc, one))).join(", ")));
  return undefined;
}

const INTEGERS: Readonly<Partial<Record<ScalarType, readonly [number, number]>>> = {
  [ScalarType.INT32]: [-(2 ** 31), 2 ** 31 - 1],
  [ScalarType.UINT32]: [0, 2 ** 32 - 1],
  [ScalarType.INT64]: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

function toScalar(type: ScalarType, value: unknown, path: string, violations: FieldViolation[]): unknown {
  const range = INTEGERS[type];
  if (range !== undefined) {
    const [min, max] = range;
    const isInRange = Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
    if (isInRange) return type === ScalarType.INT64 ? BigInt(Number(value)) : value;
    return void violations.push(wrong(path, value, `a whole number from ${min} to ${max}`));
  }
  if (type === ScalarType.STRING) {
    return typeof value === "string" ? value : void violations.push(wrong(path, value, "a string"));
  }
  if (type === ScalarType.BOOL) {
    return typeof value === "boolean" ? value : void violations.push(wrong(path, value, "true or false"));
  }
  if (type === ScalarType.DOUBLE) {
    return Number.isFinite(value) ? value : void violations.push(wrong(path, value, "a number"));
  }
  throw new Error(`${path} has a scalar type that the client cannot convert: ${ScalarType[type]}.`);
}

const toTimestamp: Convert = (value, path, violations) => {
  if (value instanceof Date || (typeof value === "string" && isInstant(value))) {
    const date = new Date(value);
    if (!Number.isNaN(date.getTime())) return timestampFromDate(date);
  }
  const wanted = 'a Date, or text with an offset and at most milliseconds, such as "2030-01-01T00:00:00Z"';
  return void violations.push(wrong(path, value, wanted));
};

const toDuration: Convert = (value, path, violations) => {
  if (Number.isSafeInteger(value)) return durationFromMs(Number(value));
  if (typeof value === "string" && DURATION.test(value)) {
    return durationFromMs(Math.round(Number.parseFloat(value) * 1_000));
  }
  return void violations.push(wrong(path, value, 'whole milliseconds, or seconds as text such as "90s"'));
};

const toMask: Convert = (value, path, violations) => {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    const toSnake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return create(FieldMaskSchema, { paths: value.map(toSnake) });
  }
  return void violations.push(wrong(path, value, "an array of names of fields"));
};

const toJsonValue: Convert = (value, path, violations) => {
  const before = violations.length;
  const json = toJson(value, path, violations, 0);
  return violations.length > before ? undefined : fromJson(ValueSchema, json);
};

const WELL_KNOWN: Readonly<Record<string, Convert>> = {
  "google.protobuf.Timestamp": toTimestamp,
  "google.protobuf.Duration": toDuration,
  "google.protobuf.FieldMask": toMask,
  "google.protobuf.Value": toJsonValue,
};

/** Copies a JSON value. What JSON.stringify would change in silence, such as a Date or NaN, is a violation. */
function toJson(value: unknown, path: string, violations: FieldViolation[], depth: number): JsonValue {
  if (depth > MAX_DEPTH) {
    violations.push({ field: path, description: `is nested deeper than ${MAX_DEPTH} levels, or in itself.` });
    return null;
  }
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) {
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    // JavaScript may have rounded it already.
    violations.push(wrong(path, value, "a whole number of at most 2^53, or be sent in payloadJson"));
    return null;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => toJson(item, `${path}[${index}]`, violations, depth + 1));
  }
  if (isPlainObject(value)) {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    return Object.fromEntries(
      entries.map(([name, member]) => [name, toJson(member, join(path, name), violations, depth + 1)]),
    );
  }
  violations.push(wrong(path, value, "a JSON value"));
  return null;
}

/** Whether a value is an object made by `{}` or JSON.parse, also in another realm, and not an array or a Date. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function wrong(path: string, value: unknown, wanted: string): FieldViolation {
  return { field: path, description: `is ${show(value)}; it must be ${wanted}.` };
}

function unknownField(desc: DescMessage, path: string): FieldViolation {
  const names = desc.fields.map(({ localName }) => localName).join(", ");
  const known = names === "" ? "it has no fields" : `its fields are ${names}`;
  return { field: path, description: `is not a field of ${desc.name}; ${known}.` };
}

function secondOfOneof({ oneof }: DescField, path: string): FieldViolation {
  const names = oneof?.fields.map(({ localName }) => localName).join(", ");
  return { field: path, description: `is set beside another one of ${names}; set exactly one.` };
}

/** Shows a value in a message, in at most 60 characters. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : "a Date";
  if (typeof value !== "object" || value === null) return String(value);
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "Object" ? `a ${name}` : "an object";
}
