import { create, fromJson, type JsonValue, toJsonString } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { PluginOffer } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { type PluginLimits, PluginLimitsSchema } from "../../gen/easycron/v1/plugin_pb.ts";
import { type EasyCronError, type FieldViolation, failure } from "../../mesh/errors.ts";
import { type KindName, toWord } from "./kinds.ts";

const NUMBERS = {
  REDIS: ["maxBytes", "maxKeys"],
  KAFKA: [
    "maxTopics",
    "maxPartitions",
    "produceBytesPerSecond",
    "consumeBytesPerSecond",
    "maxPartitionBytes",
  ],
} as const;
const ALL_NUMBERS = [...NUMBERS.REDIS, ...NUMBERS.KAFKA] as const;

/**
 * Fills the limits that a customer asks for with the operator's defaults. Throws FIELD_INVALID, with a violation for each
 * limit that is above the operator's maximum, or that the kind does not have.
 */
export function resolveLimits(
  kind: KindName,
  asked: PluginLimits | undefined,
  offer: Pick<PluginOffer, "defaultLimits" | "maxLimits">,
): PluginLimits {
  const { defaultLimits, maxLimits } = offer;
  const limits = create(PluginLimitsSchema);
  const violations: FieldViolation[] = [];
  const own: readonly string[] = NUMBERS[kind];
  const set = limits as unknown as Record<string, number | bigint>;
  for (const name of ALL_NUMBERS) {
    const wanted = asked?.[name] ?? 0;
    const max = Number(maxLimits?.[name] ?? 0);
    const problem = own.includes(name) ? aboveMax(Number(wanted), max) : foreign(kind, Number(wanted));
    if (problem !== undefined) violations.push({ field: `limits.${name}`, description: problem });
    else if (own.includes(name)) set[name] = Number(wanted) === 0 ? (defaultLimits?.[name] ?? 0) : wanted;
  }
  const wantedMs = toMs(asked);
  const maxMs = toMs(maxLimits);
  const problem = kind === "KAFKA" ? aboveMax(wantedMs, maxMs, " ms") : foreign(kind, wantedMs);
  if (problem !== undefined) violations.push({ field: "limits.maxRetention", description: problem });
  else if (kind === "KAFKA") limits.maxRetention = durationFromMs(wantedMs || toMs(defaultLimits));
  if (violations.length > 0) throw toFieldError(violations);
  return limits;
}

/** Returns limits as the database keeps them. */
export function toLimitsText(limits: PluginLimits): string {
  return toJsonString(PluginLimitsSchema, limits);
}

/** Reads limits that the database keeps. */
export function readLimits(json: unknown): PluginLimits {
  return fromJson(PluginLimitsSchema, json as JsonValue, { ignoreUnknownFields: true });
}

/** Makes the error of some fields: FIELD_INVALID. */
export function toFieldError(violations: FieldViolation[]): EasyCronError {
  const [first] = violations;
  const { field = "", description = "" } = first ?? {};
  return failure("FIELD_INVALID", { field, problem: description }, { violations });
}

function toMs(limits: PluginLimits | undefined): number {
  return limits?.maxRetention === undefined ? 0 : durationMs(limits.maxRetention);
}

/** An operator's maximum of 0 is none. */
function aboveMax(wanted: number, max: number, unit = ""): string | undefined {
  if (max === 0 || wanted <= max) return undefined;
  return `It is ${wanted}${unit}; this server allows at most ${max}${unit}.`;
}

function foreign(kind: KindName, wanted: number): string | undefined {
  return wanted === 0 ? undefined : `The ${toWord(kind)} plugin has no such limit; leave it out.`;
}
