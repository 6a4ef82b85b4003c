import type { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { Delivery } from "./outcome.ts";
import { toExpired, toFailedCall, toPluginDelivery, toUnavailable } from "./plugin-answer.ts";
import { type PluginAttempt, toPluginMessage } from "./plugin-message.ts";
import { createPluginQueue, type PendingMessage, type PluginQueue } from "./plugin-queue.ts";
import type { PluginName } from "./plugin-target.ts";

/** Sends attempts at plugin targets to the plugin-delivery service. */
export interface PluginDelivery {
  /** Makes one attempt. It takes at most the attempt timeout of the specification and 0.2 s. Never rejects. */
  deliver(attempt: PluginAttempt): Promise<Delivery>;
  /** Ends the attempts in flight. */
  close(): void;
}

/** What plugin delivery needs. */
export interface PluginDeliveryParts {
  /** The client of the plugin-delivery services; undefined when none is configured. */
  readonly client: Pick<GrpcClient<typeof PluginsService>, "deliver"> | undefined;
  /** Called with the error of each call that fails. */
  readonly onFailed: (plugin: PluginName, error: unknown) => void;
  /** Called when a call of a plugin succeeds, and the one before has failed. */
  readonly onRecovered: (plugin: PluginName, failures: number) => void;
}

/**
 * Most calls under way of one project to one plugin: one is written while the next is on its way. The messages that
 * start meanwhile share a later call, so calls grow when the broker is slow. With more, the calls would be smaller, and
 * Kafka's rate falls with the size of what it is sent at once.
 */
const MAX_CALLS = 2;
/** How often the time limits are checked while something is in flight. */
const SWEEP_MS = 100;
/** The encoded size of a message without its document and its target, roughly. */
const MESSAGE_BYTES = 500;

/** The messages of one project to one plugin. */
interface Space {
  readonly key: string;
  readonly projectId: string;
  readonly plugin: PluginName;
  readonly queue: PluginQueue;
  calls: number;
}

interface State extends PluginDeliveryParts {
  readonly spaces: Map<string, Space>;
  /** Attempts without an outcome, by their message. */
  readonly open: Map<PendingMessage, Space>;
  /** Spaces with new messages. */
  readonly changed: Set<Space>;
  /** How many calls of a plugin have failed since the last that succeeded. */
  readonly failures: Map<PluginName, number>;
  readonly closing: AbortController;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Makes a plugin delivery. The messages of one project and one plugin that start in the same turn of the event loop go
 * in one call. No message has a timer: one timer checks the time limits of all, and there is none while nothing is in
 * flight.
 */
export function createPluginDelivery(parts: PluginDeliveryParts): PluginDelivery {
  const state: State = {
    ...parts,
    spaces: new Map(),
    open: new Map(),
    changed: new Set(),
    failures: new Map(),
    closing: new AbortController(),
    timer: undefined,
  };
  return {
    deliver: (attempt) => {
      const { plugin } = attempt.target;
      if (parts.client === undefined) return Promise.resolve(toUnavailable(plugin));
      return new Promise((resolve) => enqueue(state, attempt, resolve));
    },
    close: () => {
      clearTimeout(state.timer);
      state.closing.abort();
      for (const [pending, { plugin }] of state.open) pending.settle(toExpired(plugin, pending));
    },
  };
}

function enqueue(state: State, attempt: PluginAttempt, resolve: (delivery: Delivery) => void): void {
  const { target, spec, trigger } = attempt;
  const { attemptTimeoutMs: timeoutMs } = spec;
  const message = toPluginMessage(attempt);
  const space = spaceOf(state, trigger.projectId, target.plugin);
  const pending: PendingMessage = {
    message,
    bytes: MESSAGE_BYTES + message.body.length + target.bytes,
    timeoutMs,
    expiresAtMs: performance.now() + timeoutMs,
    isSent: false,
    settle: (delivery) => {
      if (state.open.delete(pending)) resolve(delivery);
    },
  };
  state.open.set(pending, space);
  space.queue.push(pending);
  state.timer ??= setTimeout(() => sweep(state), SWEEP_MS);
  if (state.changed.size === 0) setImmediate(() => sendChanged(state));
  state.changed.add(space);
}

function spaceOf(state: State, projectId: string, plugin: PluginName): Space {
  const key = `${plugin} ${projectId}`;
  const known = state.spaces.get(key);
  if (known !== undefined) return known;
  const space: Space = { key, projectId, plugin, queue: createPluginQueue(), calls: 0 };
  state.spaces.set(key, space);
  return space;
}

function sendChanged(state: State): void {
  const changed = [...state.changed];
  state.changed.clear();
  for (const space of changed) send(state, space);
}

function send(state: State, space: Space): void {
  while (space.calls < MAX_CALLS && !state.closing.signal.aborted) {
    const batch = space.queue.takeBatch(performance.now());
    if (batch.length === 0) break;
    space.calls += 1;
    void call(state, space, batch).finally(() => {
      space.calls -= 1;
      send(state, space);
    });
  }
  if (space.calls === 0 && state.spaces.get(space.key) === space) state.spaces.delete(space.key);
}

async function call(state: State, space: Space, batch: readonly PendingMessage[]): Promise<void> {
  const { projectId, plugin } = space;
  const expiresAtMs = batch.at(-1)?.expiresAtMs ?? 0;
  const deadlineMs = Math.max(1, Math.ceil(expiresAtMs - performance.now()));
  const request = { projectId, messages: batch.map(({ message }) => message) };
  for (const pending of batch) pending.isSent = true;
  let isUnsent = false;
  const onUnsent = () => {
    isUnsent = true;
  };
  try {
    const options = { deadlineMs, signal: state.closing.signal, onUnsent };
    const answer = await state.client?.deliver(request, options);
    for (const [index, pending] of batch.entries()) {
      pending.settle(toPluginDelivery(plugin, answer?.deliveries[index], pending.message.triggerId));
    }
    const failures = state.failures.get(plugin);
    if (failures !== undefined) state.onRecovered(plugin, failures);
    state.failures.delete(plugin);
  } catch (error) {
    const failed = toFailedCall(plugin, error, { isUnsent });
    for (const pending of batch) pending.settle(failed);
    state.failures.set(plugin, (state.failures.get(plugin) ?? 0) + 1);
    state.onFailed(plugin, error);
  }
}

/**
 * Ends the attempts whose time limit is over. Usually their call ends at that time by itself. This ends those that wait
 * for a call, and those that share a call with a younger one.
 */
function sweep(state: State): void {
  const nowMs = performance.now();
  for (const [pending, space] of state.open) {
    // A call that ends at this moment knows more about the outcome.
    if (nowMs < pending.expiresAtMs + SWEEP_MS) continue;
    if (!pending.isSent) space.queue.remove(pending);
    pending.settle(toExpired(space.plugin, pending));
  }
  state.timer = state.open.size === 0 ? undefined : setTimeout(() => sweep(state), SWEEP_MS);
}
