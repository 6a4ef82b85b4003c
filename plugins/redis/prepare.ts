import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { Message } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { toJsonText, toValues } from "./message.ts";
import { guardKey, latestKey, namesOf } from "./names.ts";
import { CHANNEL, HELD_LATER, KEY, LIST, type Script, STREAM } from "./scripts.ts";

/** A message as a part of the call of a script. Messages with the same script, keys and arguments share a call. */
export interface Prepared {
  readonly script: Script;
  /** The keys before the guards. */
  readonly keys: readonly string[];
  /** The arguments before those of the messages. */
  readonly args: readonly string[];
  readonly guard: string;
  /** The arguments of this message. */
  readonly own: readonly string[];
  /** Returns where the message is, in words for the customer, from the script's answer. */
  readonly describe: (position: string) => string;
}

/** Why a message cannot be written, now or later, in words for the customer. */
export interface Unfit {
  readonly problem: string;
}

const NAME = /^(?!app:)[A-Za-z0-9._/:-]{1,200}$/;
const DEFAULT_LENGTH = 100_000n;
const MAX_LENGTH = 10_000_000n;
const MAX_TTL_MS = 365 * 86_400_000;
/** Well below the server's proto-max-bulk-len: a server closes the connection on a larger argument. */
const MAX_MESSAGE_BYTES = 524_288;

/** Turns a message into the call of a script. Never throws: a message that does not fit must not stop its batch. */
export function prepare(projectId: string, message: Message): Prepared | Unfit {
  if (message.target?.kind.case !== "redis") return { problem: "The target is not a place in Redis." };
  const { destination, maxLength, ttl } = message.target.kind.value;
  const name = destination.value ?? "";
  if (destination.case === undefined || !NAME.test(name)) {
    return {
      problem:
        `"${name.slice(0, 200)}" is not a name for a trigger's destination; it must have 1 to 200 letters, digits and ` +
        "`.` `_` `-` `:` `/`, and must not begin with `app:`.",
    };
  }
  const { prefix, settings } = namesOf(projectId);
  const keys = [settings, prefix + name];
  const guard = guardKey(projectId, message.guard);
  const guardTtl = String(message.guardTtlMs);
  const length = String(maxLength < 1n ? DEFAULT_LENGTH : maxLength > MAX_LENGTH ? MAX_LENGTH : maxLength);
  switch (destination.case) {
    case "stream":
      return bounded({
        script: STREAM,
        keys,
        args: [length],
        guard,
        own: [guardTtl, ...toValues(projectId, message)],
        describe: (position) => `stream entry ${position}`,
      });
    case "list":
      return bounded({
        script: LIST,
        keys,
        args: [length],
        guard,
        own: [guardTtl, toJsonText(projectId, message)],
        describe: (position) => `list of ${position} after the push`,
      });
    case "channel":
      return bounded({
        script: CHANNEL,
        keys,
        args: [],
        guard,
        own: [guardTtl, toJsonText(projectId, message)],
        describe: (position) => `published to ${position} subscribers`,
      });
    case "key":
      return toKeyCall(projectId, message, {
        keys: [...keys, latestKey(projectId, name)],
        guard,
        guardTtl,
        ttl,
      });
  }
}

interface KeyParts {
  readonly keys: readonly string[];
  readonly guard: string;
  readonly guardTtl: string;
  readonly ttl: Duration | undefined;
}

function toKeyCall(
  projectId: string,
  message: Message,
  { keys, guard, guardTtl, ttl }: KeyParts,
): Prepared | Unfit {
  const fireMs = Date.parse(message.fireTime);
  if (Number.isNaN(fireMs))
    return { problem: `The fire time "${message.fireTime.slice(0, 64)}" is not a time.` };
  const ttlMs = ttl === undefined ? 0 : durationMs(ttl);
  if (ttl !== undefined && !(ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) {
    return { problem: `The ttl of ${ttlMs} ms is out of range; it must be 1 s to 365 days.` };
  }
  return bounded({
    script: KEY,
    keys,
    args: [String(ttlMs)],
    guard,
    own: [guardTtl, String(fireMs), toJsonText(projectId, message)],
    describe: (position) =>
      position === HELD_LATER ? "not written: the key holds a message with a later fire time" : "key written",
  });
}

function bounded(prepared: Prepared): Prepared | Unfit {
  const bytes = prepared.own.reduce((sum, arg) => sum + Buffer.byteLength(arg), 0);
  if (bytes <= MAX_MESSAGE_BYTES) return prepared;
  return { problem: `The message has ${bytes} bytes; it must have at most ${MAX_MESSAGE_BYTES}.` };
}
