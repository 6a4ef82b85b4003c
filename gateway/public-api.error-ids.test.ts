import { type Client, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, expect, test } from "vitest";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import { ProjectService } from "../gen/easycron/v1/project_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { eachAtOnce } from "../mesh/batch-error.ts";
import { OPERATOR_KEY, PROJECT_KEY, type StartOptions, startGateway } from "./testing/start-gateway.ts";

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

const PROTOCOLS: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "Connect JSON": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
};

const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
const project = as(PROJECT_KEY);
const defect = async () => {
  throw new Error("a defect");
};
const failingStatement = (wanted: string) => (name: string) => {
  if (name === wanted) throw new Error("a defect");
  return undefined;
};
const getJob = (jobs: Client<typeof JobService>) => jobs.getJob({ name: "a" }, project);

interface Path {
  readonly options: StartOptions;
  /** Makes the call that fails; default: GetJob. */
  readonly call?: (transport: Transport) => Promise<unknown>;
  /** How many error ids the caller gets; default: 1. */
  readonly ids?: number;
  /** Default: all. */
  readonly protocols?: readonly string[];
}

/** Every way in which an error id can reach a caller. */
const PATHS: Readonly<Record<string, Path>> = {
  "the request gate": { options: { answer: failingStatement("apiKeyByHash") } },
  "a handler of the gateway": {
    options: { answer: failingStatement("projectInsert") },
    call: (transport) =>
      createClient(ProjectService, transport).createProject(
        { project: { displayName: "a" } },
        as(OPERATOR_KEY),
      ),
  },
  "an inner service": { options: { scheduler: { getJob: defect } } },
  "an inner service that answers without a response": {
    options: { scheduler: { getJob: async () => ({}) } },
  },
  // JSON cannot write this time.
  "an answer that cannot be encoded": {
    options: {
      scheduler: { getJob: async () => ({ response: { job: { createTime: { seconds: 2n ** 50n } } } }) },
    },
    protocols: ["Connect JSON"],
  },
  "the items of a batch": {
    options: {
      scheduler: { batchPauseJobs: () => eachAtOnce("names", ["a", "b"], defect).then(() => ({})) },
    },
    call: (transport) => createClient(JobService, transport).batchPauseJobs({ names: ["a", "b"] }, project),
    ids: 2,
  },
};

const CASES = Object.entries(PATHS).flatMap(([path, { protocols = Object.keys(PROTOCOLS), ...rest }]) =>
  protocols.map((protocol) => ({ path, protocol, ...rest })),
);

test.each(CASES)(
  "each error id that leaves from $path over $protocol is in a log line with its cause",
  async ({ protocol, options, call, ids = 1 }) => {
    const gateway = await startGateway(options);
    stop = () => gateway.close();
    const transport = PROTOCOLS[protocol]?.(gateway.url);
    if (transport === undefined) throw new Error(`There is no protocol ${protocol}.`);
    const calling = call?.(transport) ?? getJob(createClient(JobService, transport));
    const error: unknown = await calling.then(
      () => new Error("The call succeeded."),
      (thrown: unknown) => thrown,
    );
    const cited = idsIn(error);
    expect(cited.size).toBe(ids);
    for (const id of cited) {
      const line = gateway.logged.find(({ fields }) => fields.errorId === id);
      expect(line, id).toMatchObject({ level: "error", fields: { err: expect.any(Error) } });
    }
  },
);

/** Returns the error ids in all that a caller gets. */
function idsIn(error: unknown): Set<string> {
  const known = ConnectError.from(error);
  const violations = known.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const texts = [
    known.rawMessage,
    ...known.findDetails(ErrorInfoSchema).flatMap(({ metadata }) => Object.values(metadata)),
    ...violations.map(({ description }) => description),
  ];
  return new Set(texts.join(" ").match(/err_[0-9a-f]{16}/g));
}
