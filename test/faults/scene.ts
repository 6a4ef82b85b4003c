import { inject } from "vitest";
import { ensureProject } from "../../dev/demo.ts";
import { EasyCron } from "../../sdk/index.ts";
import { type Mesh, type MeshOptions, startMesh } from "../support/mesh.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { createFleet, type Fleet } from "../whole/fleet.ts";

/** The healthy project: jobs that fire every second at a receiver that answers at once. */
export interface Healthy {
  readonly fleet: Fleet;
  readonly receiver: Receiver;
  /**
   * Waits until every fire time of a time span has arrived, and returns how late they were. The span is in whole
   * seconds (epoch milliseconds), with its start and without its end. Throws when one is still missing 60 s later.
   */
  between(startMs: number, endMs: number): Promise<Lateness>;
}

/** How late the triggers of a time span arrived. */
export interface Lateness {
  /** The number of fire times. Each arrived at least once. */
  readonly count: number;
  /** How many arrived more than once. */
  readonly repeated: number;
  /** The largest lateness of a first arrival, in milliseconds. */
  readonly worstMs: number;
  readonly medianMs: number;
}

/** The project that has, or causes, the fault. */
export interface Troubled {
  /** Its id. */
  readonly project: string;
  readonly client: EasyCron;
  readonly receiver: Receiver;
  /** Calls a method, such as JobService/CreateJob, with JSON over HTTP. Returns the status and the body. */
  call(method: string, request: object): Promise<{ readonly status: number; readonly body: unknown }>;
}

/** A product of its own with a troubled project and a healthy project. Ended by `await using`. */
export interface FaultScene extends AsyncDisposable {
  readonly mesh: Mesh;
  readonly healthy: Healthy;
  readonly troubled: Troubled;
}

/** How a scene is started. */
export interface FaultSceneOptions extends Omit<MeshOptions, "preparedData"> {
  /** How many jobs the healthy project has. Default 20. */
  readonly healthyJobs?: number;
}

/** Starts a product with two projects, and waits until the healthy one's first trigger has arrived. */
export async function openFaultScene(options: FaultSceneOptions = {}): Promise<FaultScene> {
  const { healthyJobs = 20, ...meshOptions } = options;
  const mesh = await startMesh({ ...meshOptions, preparedData: inject("easycronPostgres").preparedData });
  const [receiver, troubledReceiver] = [await startReceiver(), await startReceiver()];
  const stop = async () => {
    await mesh.stop();
    await Promise.all([receiver.stop(), troubledReceiver.stop()]);
  };
  try {
    const fleet = await createFleet(mesh, receiver, healthyJobs);
    await receiver.waitFor((requests) => requests.length > 0);
    const troubled = await addProject(mesh, troubledReceiver);
    const healthy = { fleet, receiver, between: createAccount(fleet, receiver) };
    return { mesh, healthy, troubled, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function addProject(mesh: Mesh, receiver: Receiver): Promise<Troubled> {
  const { apiKey, project } = await ensureProject(mesh.url, mesh.operatorKey);
  return {
    project,
    receiver,
    client: new EasyCron({ url: mesh.url, apiKey }),
    call: async (method, request) => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${apiKey}` };
      const init = { method: "POST", headers, body: JSON.stringify(request) };
      const response = await fetch(`${mesh.url}/easycron.v1.${method}`, init);
      return { status: response.status, body: await response.json() };
    },
  };
}

/** Counts arrivals as they come, so that waiting for many of them stays cheap. */
function createAccount(fleet: Fleet, receiver: Receiver): Healthy["between"] {
  const arrivals = new Map<string, { readonly lateMs: number; count: number }>();
  let read = 0;
  const readNew = () => {
    for (; read < receiver.requests.length; read++) {
      const request = receiver.requests[read];
      if (request === undefined) return;
      const known = arrivals.get(request.id);
      if (known === undefined) {
        arrivals.set(request.id, { lateMs: request.arrivedMs - request.nominalMs, count: 1 });
      } else known.count += 1;
    }
  };
  return async (startMs, endMs) => {
    const missing = fleet.expectedIds(startMs, endMs);
    const ids = [...missing];
    await receiver.waitFor(
      () => {
        readNew();
        for (const id of missing) if (arrivals.has(id)) missing.delete(id);
        return missing.size === 0;
      },
      60_000 + Math.max(0, endMs - Date.now()),
    );
    const found = ids.flatMap((id) => arrivals.get(id) ?? []);
    const late = found.map(({ lateMs }) => lateMs).sort((a, b) => a - b);
    return {
      count: ids.length,
      repeated: found.filter(({ count }) => count > 1).length,
      worstMs: late.at(-1) ?? 0,
      medianMs: late[Math.floor(late.length / 2)] ?? 0,
    };
  };
}

/** Returns the next full second that is at least `aheadMs` away, in epoch milliseconds. */
export function nextSecond(aheadMs = 0): number {
  return Math.ceil((Date.now() + aheadMs) / 1_000) * 1_000;
}
