import type { PluginOffer } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { type KindName, toKind, toWord } from "./kinds.ts";
import type { PluginParts } from "./parts.ts";

const DEADLINE_MS = 3_000;

/**
 * Returns what the operator offers of a kind. Throws PLUGIN_NOT_AVAILABLE if that is nothing, and SERVICE_UNAVAILABLE if
 * plugin delivery does not answer.
 */
export async function readOffer(
  { delivery }: Pick<PluginParts, "delivery">,
  kind: KindName,
  options: CallOptions,
): Promise<PluginOffer> {
  const { offers } = await delivery.describePlugins(
    { kind: toKind(kind) },
    { ...options, deadlineMs: DEADLINE_MS },
  );
  const offer = offers.find((each) => each.kind === toKind(kind));
  if (offer === undefined) throw failure("PLUGIN_NOT_AVAILABLE", { plugin: toWord(kind) });
  return offer;
}
