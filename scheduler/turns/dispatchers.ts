import { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createGrpcClientWithHealth, type GrpcClient } from "../../mesh/grpc-client.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import { untilSocketsRead } from "../../mesh/until-read.ts";
import { type Resolve, watchAddresses } from "./dispatcher-addresses.ts";
import { hashOf } from "./rendezvous.ts";

/** A dispatcher, until it is found dead. When it answers again, it is a new object. */
export interface Dispatcher {
  /** ip:port. */
  readonly address: string;
  /** The hash of the address. */
  readonly hash: number;
  readonly client: GrpcClient<typeof DispatcherService>;
  /** Aborted when it is found dead. */
  readonly dead: AbortSignal;
}

/** The dispatchers that triggers can be handed over to. */
export interface Dispatchers {
  /** Returns the live dispatchers, in the order of their addresses. */
  live(): readonly Dispatcher[];
  /** Counts a dispatcher as dead until a health check that begins from now on is good. */
  markDead(dispatcher: Dispatcher, error: unknown): void;
  /** Resolves when each address that is known at the start has been checked once. */
  untilChecked(): Promise<void>;
  /** Stops checking and closes the connections. */
  close(): Promise<void>;
}

/** How the dispatchers are watched. */
export interface DispatchersOptions {
  /** One or more ip:port; or one name:port, all of whose addresses are used. */
  readonly addresses: readonly string[];
  readonly logger: Logger;
  /** The pause between two checks of a dispatcher, in milliseconds. Default 250. */
  readonly checkEveryMs?: number;
  /** How long a check may take, in milliseconds. Default 1,000. */
  readonly checkLimitMs?: number;
  /**
   * How long after its address became known a dispatcher may be starting, in milliseconds. Until then, no warning says
   * that it does not answer. Default 5,000.
   */
  readonly startLimitMs?: number;
  /** Returns the IP addresses of a name. Default: as the system resolves it. */
  readonly resolve?: Resolve;
}

/** How long a health check may take at most, should its own limit fail. */
const CALL_LIMIT_MS = 5_000;

/** One address. NEW: not checked yet. REFUSING: it answers that it does not serve. */
interface Member {
  readonly address: string;
  readonly client: GrpcClient<typeof DispatcherService>;
  readonly health: GrpcClient<typeof Health>;
  state: "NEW" | "LIVE" | "REFUSING" | "DEAD";
  dispatcher: Dispatcher;
  /** Aborts `dispatcher.dead`. */
  death: AbortController;
  /** When its address became known (performance.now()). */
  readonly addedMs: number;
  /** Whether it has ever answered a check. */
  hasAnswered: boolean;
  /** Whether its last death was logged. */
  isDeathLogged: boolean;
  /** How often it was found dead. A check that began before the last time says nothing. */
  deaths: number;
  /** Resolved after the first check. */
  readonly checked: PromiseWithResolvers<void>;
  /** Ends the check that is under way. */
  stopCheck: AbortController;
  loop: Loop | undefined;
}

interface State {
  readonly members: Map<string, Member>;
  readonly logger: Logger;
  readonly checkEveryMs: number;
  readonly checkLimitMs: number;
  readonly startLimitMs: number;
  /** Made again whenever a dispatcher comes or goes. */
  live: readonly Dispatcher[];
}

/**
 * Watches the dispatchers at `addresses`. Each address has a connection of its own. It is checked with grpc.health.v1
 * every 250 ms, one check at a time. A dispatcher is live after one good check. It is dead after a check that failed or
 * took longer than a second, and when `markDead` says so. A dispatcher that reports NOT_SERVING gets nothing more, and
 * what it is recording is still waited for. Logs each change; of one that has never answered, only after five seconds.
 */
export function createDispatchers(options: DispatchersOptions): Dispatchers {
  const { addresses, logger, resolve } = options;
  const { checkEveryMs = 250, checkLimitMs = 1_000, startLimitMs = 5_000 } = options;
  const state: State = { members: new Map(), logger, checkEveryMs, checkLimitMs, startLimitMs, live: [] };
  const watch = watchAddresses({
    addresses,
    logger,
    resolve,
    onChange: (now) => setAddresses(state, now),
  });
  return {
    live: () => state.live,
    markDead: (dispatcher, error) => {
      const member = state.members.get(dispatcher.address);
      if (member?.dispatcher === dispatcher) setDead(state, member, error);
    },
    untilChecked: async () => {
      await watch.untilKnown();
      await Promise.all([...state.members.values()].map(({ checked }) => checked.promise));
    },
    close: async () => {
      await watch.stop();
      await Promise.all([...state.members.values()].map((member) => removeMember(state, member)));
    },
  };
}

function setAddresses(state: State, addresses: readonly string[]): void {
  const wanted = new Set(addresses);
  for (const [address, member] of state.members) {
    if (wanted.has(address)) continue;
    state.logger.info({ address }, "a dispatcher's address is gone");
    void removeMember(state, member);
  }
  for (const address of wanted) if (!state.members.has(address)) addMember(state, address);
}

function addMember(state: State, address: string): void {
  const { client, health } = createGrpcClientWithHealth(DispatcherService, {
    addresses: [address],
    deadlineMs: CALL_LIMIT_MS,
  });
  const member: Member = {
    address,
    client,
    health,
    state: "NEW",
    ...begin(address, client),
    addedMs: performance.now(),
    hasAnswered: false,
    isDeathLogged: false,
    deaths: 0,
    checked: Promise.withResolvers(),
    stopCheck: new AbortController(),
    loop: undefined,
  };
  state.members.set(address, member);
  const work = async () => {
    await checkMember(state, member);
    member.checked.resolve();
    return { more: false };
  };
  // `checkMember` never throws.
  const ignore = () => {};
  member.loop = startLoop(work, { everyMs: state.checkEveryMs, onFailure: ignore, onRecovery: ignore });
}

function begin(
  address: string,
  client: GrpcClient<typeof DispatcherService>,
): Pick<Member, "dispatcher" | "death"> {
  const death = new AbortController();
  return { dispatcher: { address, hash: hashOf(address), client, dead: death.signal }, death };
}

async function removeMember(state: State, member: Member): Promise<void> {
  state.members.delete(member.address);
  const stopped = member.loop?.stop();
  member.stopCheck.abort();
  member.death.abort();
  updateLive(state);
  await stopped;
  member.client.close();
}

async function checkMember(state: State, member: Member): Promise<void> {
  const { deaths } = member;
  let isServing: boolean;
  try {
    isServing = await askWhetherServing(member, state.checkLimitMs);
  } catch (error) {
    if (state.members.get(member.address) === member) setDead(state, member, error);
    return;
  }
  member.hasAnswered = true;
  const isCurrent = state.members.get(member.address) === member && member.deaths === deaths;
  if (!isCurrent || member.state === (isServing ? "LIVE" : "REFUSING")) return;
  member.state = isServing ? "LIVE" : "REFUSING";
  updateLive(state);
  const { address } = member;
  if (isServing) state.logger.info({ address }, "a dispatcher is live");
  else state.logger.info({ address }, "a dispatcher does not serve; it gets no more triggers");
}

/** Throws when there is no answer within the limit. */
async function askWhetherServing(member: Member, limitMs: number): Promise<boolean> {
  member.stopCheck = new AbortController();
  const { stopCheck } = member;
  // When this process has stalled, the answer may be there already although the time is up.
  const timer = setTimeout(() => void untilSocketsRead().then(() => stopCheck.abort()), limitMs);
  try {
    const { status } = await member.health.check({}, { signal: stopCheck.signal });
    return status === ServingStatus.SERVING;
  } catch (error) {
    if (!stopCheck.signal.aborted) throw error;
    throw failure("SERVICE_UNAVAILABLE", { service: "dispatcher" }, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function setDead(state: State, member: Member, error: unknown): void {
  member.deaths += 1;
  if (member.state !== "DEAD") {
    member.state = "DEAD";
    member.isDeathLogged = false;
    const { death, address } = member;
    Object.assign(member, begin(address, member.client));
    updateLive(state);
    death.abort();
  }
  logDeath(state, member, error);
}

/** Logs each death once. When everything starts at the same time, a dispatcher may answer later than it is asked. */
function logDeath(state: State, member: Member, error: unknown): void {
  const isStarting = !member.hasAnswered && performance.now() - member.addedMs < state.startLimitMs;
  if (member.isDeathLogged || isStarting) return;
  member.isDeathLogged = true;
  state.logger.warn(
    { address: member.address, err: error },
    "a dispatcher does not answer; it gets no triggers until it does",
  );
}

function updateLive(state: State): void {
  state.live = [...state.members.values()]
    .filter((member) => member.state === "LIVE")
    .map(({ dispatcher }) => dispatcher)
    .sort((a, b) => (a.address < b.address ? -1 : 1));
}
