import { EasyCron } from "../../sdk/index.ts";
import { type ReceivedRequest, type Receiver, startReceiver } from "../support/receiver.ts";
import { joinMesh, type SharedProject } from "../support/shared-mesh.ts";

/** An answer of the API: JSON of any shape, looked into by the assertions. */
// biome-ignore lint/suspicious/noExplicitAny: what comes is what is tested.
export type Json = any;

/** A schedule that is due every second. */
export const SECONDLY = [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }];
/** A schedule that is due every day. */
export const DAILY = [{ cron: { expression: "0 9 * * *" }, timeZone: "Europe/Paris" }];

/** The whole product with a customer's endpoint, and a job, `ticker`, that is delivered there every second. */
export interface Scene {
  readonly mesh: SharedProject;
  readonly receiver: Receiver;
  /** The SDK, with the project's key. */
  readonly client: EasyCron;
  /** Calls a method, such as JobService/GetJob, as a script would: JSON over HTTP. Throws a Refusal. */
  call(method: string, request: object): Promise<Json>;
  /** Such a job as the scene's are: due every second and delivered to the receiver, unless `fields` say otherwise. */
  jobNamed(name: string, fields?: object): object;
  /** Creates it. */
  createJob(name: string, fields?: object): Promise<Json>;
  /** Waits for a webhook of a job that is as wanted. They need not come in the order of their fire times. */
  arrived(name: string, wanted?: (request: ReceivedRequest) => boolean): Promise<ReceivedRequest>;
  /** Reads again whenever a webhook has come, the ticker's at least, until what is read is as wanted. */
  until(read: () => Promise<Json>, wanted: (value: Json) => boolean): Promise<Json>;
  stop(): Promise<void>;
}

/** A call that was refused. */
class Refusal extends Error {
  readonly status: number;
  readonly reason: string;
  /** The fields that the answer names as wrong. */
  readonly fields: readonly string[];

  constructor(status: number, body: Json) {
    super(`${status}: ${body.message}`);
    this.status = status;
    const debugs: Json[] = (body.details ?? []).map(({ debug }: Json) => debug);
    this.reason = debugs.find(({ reason }) => reason !== undefined)?.reason ?? "";
    this.fields = debugs.flatMap(({ fieldViolations = [] }) =>
      fieldViolations.map(({ field }: Json) => field),
    );
  }
}

async function callJson({ url, apiKey }: SharedProject, method: string, request: object): Promise<Json> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${apiKey}` };
  const body = JSON.stringify(request);
  const response = await fetch(`${url}/easycron.v1.${method}`, { method: "POST", headers, body });
  const answer = await response.json();
  if (response.status !== 200) throw new Refusal(response.status, answer);
  return answer;
}

/** Starts the product and the receiver, and waits for the first webhook. */
export async function openScene(): Promise<Scene> {
  const mesh = await joinMesh();
  const receiver = await startReceiver({ secrets: [mesh.signingSecret] });
  const scene: Scene = {
    mesh,
    receiver,
    client: new EasyCron({ url: mesh.url, apiKey: mesh.apiKey }),
    call: (method, request) => callJson(mesh, method, request),
    jobNamed: (name, fields = {}) => ({
      name,
      schedules: SECONDLY,
      target: { webhook: { url: `${receiver.url}/${name}` } },
      ...fields,
    }),
    createJob: async (name, fields) =>
      (await scene.call("JobService/CreateJob", { job: scene.jobNamed(name, fields) })).job,
    arrived: (name, wanted = () => true) =>
      receiver.waitFor((requests) => requests.find((request) => request.job === name && wanted(request))),
    until: async (read, wanted) => {
      for (;;) {
        const seen = receiver.requests.length;
        const value = await read();
        if (wanted(value)) return value;
        await receiver.waitFor((requests) => requests.length > seen);
      }
    },
    stop: async () => {
      await mesh.stop();
      await receiver.stop();
    },
  };
  await scene.createJob("ticker");
  await scene.arrived("ticker");
  return scene;
}

/** As the contract writes an instant. */
export const iso = (ms: number): string => new Date(ms).toISOString();
