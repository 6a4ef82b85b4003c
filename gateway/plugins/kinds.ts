import { PluginKind } from "../../gen/easycron/v1/plugin_pb.ts";
import { failure } from "../../mesh/errors.ts";

/** A kind of plugin, as the database has it. */
export type KindName = "REDIS" | "KAFKA";

/** Every kind of plugin, in the order of the enum. */
export const KINDS: readonly KindName[] = ["REDIS", "KAFKA"];

/** Returns the database's name of a kind. Throws FIELD_INVALID for a kind that does not exist; the proto refuses it before. */
export function toKindName(kind: PluginKind): KindName {
  if (kind === PluginKind.REDIS) return "REDIS";
  if (kind === PluginKind.KAFKA) return "KAFKA";
  throw failure("FIELD_INVALID", { field: "kind", problem: `is ${kind}; accepted: REDIS, KAFKA.` });
}

/** Returns the value of the enum for a kind. */
export function toKind(name: KindName): PluginKind {
  return name === "REDIS" ? PluginKind.REDIS : PluginKind.KAFKA;
}

/** Returns the name of a kind in texts for people, in filters and in targets: redis, kafka. */
export function toWord(name: KindName): "redis" | "kafka" {
  return name === "REDIS" ? "redis" : "kafka";
}
