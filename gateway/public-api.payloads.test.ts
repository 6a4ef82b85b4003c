import http2 from "node:http2";
import { buffer } from "node:stream/consumers";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Job } from "../gen/easycron/v1/job_pb.ts";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import { BadRequestSchema } from "../gen/google/rpc/error_details_pb.ts";
import { PROJECT_KEY, startGateway } from "./testing/start-gateway.ts";

/** What the scheduler was sent, and a job that it answers with. */
const inner: { payloads: (string | undefined)[]; values: unknown[]; stored: string } = {
  payloads: [],
  values: [],
  stored: "null",
};

let gateway: Awaited<ReturnType<typeof startGateway>>;
beforeAll(async () => {
  const keep = (holder: Pick<Job, "payload" | "payloadJson"> | undefined) => {
    inner.payloads.push(holder?.payloadJson);
    inner.values.push(holder?.payload);
  };
  const stored = () => ({ name: "a", payloadJson: inner.stored });
  gateway = await startGateway({
    scheduler: {
      createJob: async ({ request }) => {
        // The gateway asks so about the rest of a request that it refuses.
        if (request?.validateOnly !== true) keep(request?.job);
        return { response: { job: stored() } };
      },
      updateJob: async ({ request }) => {
        keep(request?.job);
        return { response: { job: stored() } };
      },
      batchCreateJobs: async ({ request }) => {
        for (const { job } of request?.requests ?? []) keep(job);
        return { response: { jobs: [stored(), { name: "b" }] } };
      },
      applyJobs: async ({ request }) => {
        for (const job of request?.jobs ?? []) keep(job);
        return { response: {} };
      },
      runJob: async ({ request }) => {
        keep(request);
        return { response: {} };
      },
      getJob: async () => ({ response: { job: stored() } }),
      listJobs: async () => ({ response: { jobs: [stored(), { name: "b" }] } }),
    },
  });
});
afterAll(() => gateway.close());
beforeEach(() => {
  inner.payloads = [];
  inner.values = [];
});

const target = '"target":{"webhook":{"url":"https://acme.io/"}}';

type Framing = "Connect" | "gRPC" | "gRPC-Web";

/** Sends JSON text in one of the protocols, and returns the JSON text of the answer, or the error. */
async function send(framing: Framing, method: string, json: string): Promise<string> {
  const path = `/easycron.v1.JobService/${method}`;
  const text = Buffer.from(json);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  const authorization = `Bearer ${PROJECT_KEY}`;
  if (framing === "gRPC") {
    const session = http2.connect(gateway.url);
    const type = { "content-type": "application/grpc+json", te: "trailers" };
    const stream = session.request({ ":method": "POST", ":path": path, authorization, ...type });
    let ended: http2.IncomingHttpHeaders = {};
    for (const event of ["response", "trailers"] as const) {
      stream.on(event, (sent: http2.IncomingHttpHeaders) => {
        ended = sent;
      });
    }
    stream.end(Buffer.concat([prefix, text]));
    const bytes = await buffer(stream);
    session.destroy();
    return bytes.length === 0 ? `${ended["grpc-message"]}` : bytes.subarray(5).toString();
  }
  const type = framing === "Connect" ? "application/json" : "application/grpc-web+json";
  const response = await fetch(gateway.url + path, {
    method: "POST",
    headers: { "content-type": type, authorization },
    body: framing === "Connect" ? text : Buffer.concat([prefix, text]),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (framing === "Connect") return bytes.toString();
  return bytes.length === 0 ? `${response.headers.get("grpc-message")}` : bytes.subarray(5).toString();
}

/** Every number that a double changes, texts with escapes, keys that JavaScript would put in another order. */
const SENT = String.raw`{ "id": 3889108265204451307,
  "b": [ -9223372036854775808, 1.0, 1E2, -0, -0.0, 1e-400, 0.1234567890123456789 ],
  "10": "\u00e9\/", "2": "é\u0000", "__proto__": { "": {} } }`;
const KEPT = String.raw`{"id":3889108265204451307,"b":[-9223372036854775808,1.0,1E2,-0,-0.0,1e-400,0.1234567890123456789],"10":"\u00e9\/","2":"é\u0000","__proto__":{"":{}}}`;

describe.each<Framing>(["Connect", "gRPC", "gRPC-Web"])("a payload in JSON over %s", (framing) => {
  test.each([
    ["CreateJob", `{"job":{"name":"a",${target},"payload":${SENT}}}`],
    ["UpdateJob", `{"job":{"name":"a","payload":${SENT}},"updateMask":"payload"}`],
    ["RunJob", `{"name":"a","payload":${SENT}}`],
    ["BatchCreateJobs", `{"requests":[{"job":{"name":"a",${target},"payload":${SENT}}}]}`],
    ["ApplyJobs", `{"labels":{"a":"b"},"jobs":[{"name":"a",${target},"payload":${SENT}}]}`],
  ])("reaches the scheduler as it was sent, in %s", async (method, json) => {
    await send(framing, method, json);
    expect(inner.payloads).toEqual([KEPT]);
    expect(inner.values).toEqual([undefined]);
  });

  test("is answered as it is stored, in every job of an answer", async () => {
    inner.stored = KEPT;
    for (const [method, json] of [
      ["GetJob", '{"name":"a"}'],
      ["ListJobs", "{}"],
    ] as const) {
      const answer = await send(framing, method, json);
      expect(answer).toContain(`"payload":${KEPT}`);
      expect(answer).not.toContain("payloadJson");
    }
  });

  test("is refused with the path for a number that no double holds, and for a key that is given twice", async () => {
    const answer = await send(
      framing,
      "CreateJob",
      `{"job":{"name":"a",${target},"payload":{"a":[1,1e400],"b":{"c":1,"\\u0063":2}}}}`,
    );
    const text = framing === "Connect" ? answer : decodeURIComponent(answer);
    expect(text).toContain("job.payload.a[1]: It is 1e400; accepted: a number up to 1.79e308");
    if (framing === "Connect") expect(answer).toContain('"job.payload.b.c"');
    expect(inner.payloads).toEqual([]);
  });
});

test("null is a payload, and no payload is none", async () => {
  await send("Connect", "CreateJob", `{"job":{"name":"a",${target},"payload":null}}`);
  await send("Connect", "CreateJob", `{"job":{"name":"a",${target}}}`);
  expect(inner.payloads).toEqual(["null", undefined]);
});

test("a text in a payload cannot pass for a number with all its digits", async () => {
  inner.stored = '{"a":"\\"1,2"}';
  expect(await send("Connect", "GetJob", '{"name":"a"}')).toContain('"payload":{"a":"\\"1,2"}');
});

const BINARY = [
  [
    "Connect binary",
    (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true }),
  ],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
] as const;

describe.each(BINARY)("a payload over %s", (_, transportTo) => {
  const headers = { authorization: `Bearer ${PROJECT_KEY}` };
  const jobs = () => createClient(JobService, transportTo(gateway.url));
  const value = (json: JsonValue) => fromJson(ValueSchema, json);
  const createWith = (payload: { payload?: Value; payloadJson?: string }) => {
    const webhook = { case: "webhook", value: { url: "https://acme.io/" } } as const;
    return jobs().createJob({ job: { name: "a", target: { kind: webhook }, ...payload } }, { headers });
  };
  const refusalOf = async (call: Promise<unknown>) => {
    const error = ConnectError.from(await call.catch((thrown: unknown) => thrown));
    return error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations.map((each) => `${each.field} | ${each.description}`));
  };

  test("reaches the scheduler as the shortest text of its value, with -0", async () => {
    await createWith({ payload: value({ a: [1, -0, 0.1, 2 ** 53 - 1, 1e-300, "é", null, true], b: {} }) });
    expect(inner.payloads).toEqual(['{"a":[1,-0,0.1,9007199254740991,1e-300,"é",null,true],"b":{}}']);
    expect(inner.values).toEqual([undefined]);
  });

  test("with whole numbers beyond 2^53 is refused with the path of each", async () => {
    const payload = value({ id: 3889108265204451307n.toString().length, a: [2 ** 53], b: -1e300 });
    const why = "whole numbers beyond 2^53 cannot be kept in this protocol; use JSON, payloadJson or a text.";
    const expected = (path: string) => [
      `${path}.a[0] | It is 9007199254740992; ${why}`,
      `${path}.b | It is -1e+300; ${why}`,
    ];
    expect(await refusalOf(createWith({ payload }))).toEqual(expected("job.payload"));
    expect(await refusalOf(jobs().runJob({ name: "a", payload }, { headers }))).toEqual(expected("payload"));
    expect(inner.payloads).toEqual([]);
  });

  test("may be given as JSON text, alone or beside the same value", async () => {
    await createWith({ payloadJson: SENT });
    await jobs().runJob({ name: "a", payloadJson: SENT }, { headers });
    await createWith({ payloadJson: '{"id":9007199254740993}', payload: value({ id: 2 ** 53 }) });
    expect(inner.payloads).toEqual([KEPT, KEPT, '{"id":9007199254740993}']);
  });

  test.each([
    ["{", "It is not JSON."],
    ['{"a":1,"a":2}', "It is given twice; give it once.", ".a"],
    [
      "[1e400]",
      "It is 1e400; accepted: a number up to 1.79e308, the largest double; send it as a text.",
      "[0]",
    ],
    ['["\\ud800"]', "Must not hold half of a surrogate pair; send whole characters.", "[0]"],
    [`${"[".repeat(31)}${"]".repeat(31)}`, "It is nested too deep; at most 30 levels are allowed."],
    [`"${"x".repeat(65_535)}"`, "As JSON it has 65537 bytes; at most 65536 are allowed."],
  ])("is refused as the JSON text %j", async (payloadJson, problem, at = "") => {
    expect(await refusalOf(createWith({ payloadJson }))).toEqual([`job.payloadJson${at} | ${problem}`]);
  });

  test("that differs from its JSON text is refused", async () => {
    const call = createWith({ payloadJson: '{"id":2}', payload: value({ id: 1 }) });
    expect(await refusalOf(call)).toEqual([
      "job.payloadJson | It is not the same as payload; send only one of the two.",
    ]);
  });

  test("is answered as a value, with its text beside it only if the value does not have all digits", async () => {
    inner.stored = '{"id":9007199254740993}';
    const { job: large } = await jobs().getJob({ name: "a" }, { headers });
    expect(large?.payloadJson).toBe(inner.stored);
    expect(large?.payload).toEqual(value({ id: 9007199254740992 }));
    inner.stored = '{"id":9007199254740992,"a":[1.0,1e3,123.25]}';
    const { job: small } = await jobs().getJob({ name: "a" }, { headers });
    expect(small?.payloadJson).toBeUndefined();
    expect(small?.payload).toEqual(value({ id: 9007199254740992, a: [1, 1000, 123.25] }));
  });

  test("of an answer can be sent back as it is, and keeps its digits", async () => {
    inner.stored = '{"id":9007199254740993}';
    const { job: read } = await jobs().getJob({ name: "a" }, { headers });
    if (read !== undefined) await jobs().updateJob({ job: read }, { headers });
    expect(inner.payloads).toEqual([inner.stored]);
  });
});
