import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { JobService } from "./gen/easycron/v1/job_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import { EasyCron, EasyCronError } from "./index.ts";
import { CronDialect, JobState, toPayload } from "./raw.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** Starts a real HTTP server. Returns its URL and the headers of the requests that it gets. */
async function serve(routes: (router: ConnectRouter) => void) {
  const seen: IncomingHttpHeaders[] = [];
  const handler = connectNodeAdapter({ routes, acceptCompression: [compressionGzip], compressMinBytes: 1 });
  const server = createServer((request, response) => {
    seen.push(request.headers);
    handler(request, response);
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const fails = (error: () => ConnectError) =>
  serve((router) =>
    router.service(JobService, {
      getJob: () => {
        throw error();
      },
    }),
  );

describe("the client", () => {
  test("sends the key and reads compressed answers, over HTTP", async () => {
    const { url, seen } = await serve((router) =>
      router.service(JobService, {
        createJob: ({ job }) => {
          if (job !== undefined) Object.assign(job, { uid: "job_1", state: JobState.ACTIVE });
          return job === undefined ? {} : { job };
        },
      }),
    );
    const { jobs } = new EasyCron({ url: `${url}/`, apiKey: "ec_test_1" }).raw;
    const cron = { expression: "*/10 * * * * *", dialect: CronDialect.WITH_SECONDS };
    const { job } = await jobs.createJob({
      job: {
        name: "demo",
        schedules: [{ kind: { case: "cron", value: cron } }],
        payload: toPayload({ company: [42, null] }),
      },
    });
    expect(job).toMatchObject({ name: "demo", uid: "job_1", state: JobState.ACTIVE });
    expect(job?.payload).toEqual(toPayload({ company: [42, null] }));
    expect(seen[0]).toMatchObject({ authorization: "Bearer ec_test_1", "content-type": "application/proto" });
  });

  test("uses the caller's transport if one is given", async () => {
    const transport = createRouterTransport((router) =>
      router.service(JobService, { getJob: ({ name }) => ({ job: { name } }) }),
    );
    const { jobs } = new EasyCron({ url: "", apiKey: "", transport }).raw;
    expect((await jobs.getJob({ name: "a" })).job?.name).toBe("a");
  });

  test.each([
    ["no URL", { url: "localhost:8080", apiKey: "k" }],
    ["another protocol", { url: "ftp://localhost", apiKey: "k" }],
    ["an unset key", { url: "http://localhost", apiKey: undefined }],
    ["a key with a line break", { url: "http://localhost", apiKey: "k\n" }],
  ])("refuses %s", (_name, options) => {
    expect(() => new EasyCron(options)).toThrow(TypeError);
  });
});

describe("the services of the API", () => {
  /** The services that the protos declare, and a transport that records the calls of their methods. */
  const watch = async () => {
    const folder = join(import.meta.dirname, "gen/easycron/v1");
    const files = (await readdir(folder)).filter((name) => name.endsWith("_service_pb.ts"));
    const modules = await Promise.all(files.map((name) => import(join(folder, name))));
    const services = modules
      .flatMap((module) => Object.values<DescService>(module))
      .filter(({ kind }) => kind === "service");
    const called: string[] = [];
    const transport = createRouterTransport((router) => {
      for (const service of services) {
        const answers = service.methods.map(({ localName, name }) => [
          localName,
          () => {
            called.push(`${service.typeName}/${name}`);
            return {};
          },
        ]);
        router.service(service, Object.fromEntries(answers));
      }
    });
    return { services, called, client: new EasyCron({ url: "", apiKey: "", transport }) };
  };

  test("have all their methods on the generated client", async () => {
    const { services, called, client } = await watch();
    for (const service of Object.values(client.raw)) {
      for (const method of Object.values<(request: object) => Promise<unknown>>(service)) await method({});
    }
    const declared = services.flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `${typeName}/${name}`),
    );
    expect(called.length).toBeGreaterThan(40);
    expect(called.sort()).toEqual(declared.sort());
  });

  test("are all described in the README", async () => {
    const { services, client } = await watch();
    const readme = await readFile(join(import.meta.dirname, "README.md"), "utf8");
    for (const property of Object.keys(client.raw)) expect(readme).toContain(`\`${property}\``);
    for (const { name } of services) expect(readme).toContain(name);
  });
});

describe("what a call throws is an EasyCronError", () => {
  test("with the reason, metadata, fields and pause of the answer's details", async () => {
    const { url } = await fails(
      () =>
        new ConnectError("job.name: bad", Code.InvalidArgument, undefined, [
          { desc: ErrorInfoSchema, value: { reason: "FIELD_INVALID", metadata: { field: "job.name" } } },
          { desc: BadRequestSchema, value: { fieldViolations: [{ field: "job.name", description: "bad" }] } },
          { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
        ]),
    );
    const call = new EasyCron({ url, apiKey: "k" }).raw.jobs.getJob({ name: "a" });
    await expect(call).rejects.toBeInstanceOf(EasyCronError);
    await expect(call).rejects.toMatchObject({
      message: "job.name: bad",
      code: "INVALID_ARGUMENT",
      reason: "FIELD_INVALID",
      metadata: { field: "job.name" },
      violations: [{ field: "job.name", description: "bad" }],
      retryAfterMs: 1_500,
    });
  });

  test("without a reason when the answer does not come from EasyCron", async () => {
    const server = createServer((_request, response) => response.writeHead(502).end("<html>"));
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const call = new EasyCron({ url, apiKey: "k" }).raw.jobs.getJob({ name: "a" });
    await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE", reason: undefined });
  });

  test("with the URL in its message when nothing listens there", async () => {
    const call = new EasyCron({ url: "http://127.0.0.1:1", apiKey: "k" }).raw.jobs.getJob({ name: "a" });
    await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(call).rejects.toThrow("http://127.0.0.1:1 cannot be reached");
  });

  test("DEADLINE_EXCEEDED when the time is used up, CANCELLED when the caller gives up", async () => {
    const { url } = await serve((router) =>
      router.service(JobService, { getJob: () => new Promise(() => {}) }),
    );
    const call = new EasyCron({ url, apiKey: "k", timeoutMs: 30 }).raw.jobs.getJob({ name: "a" });
    await expect(call).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    const signal = AbortSignal.abort();
    const given = new EasyCron({ url, apiKey: "k" }).raw.jobs.getJob({ name: "a" }, { signal });
    await expect(given).rejects.toMatchObject({ code: "CANCELLED" });
  });

  test("for a redirect, and the API key is not sent to its target", async () => {
    const { url, seen } = await serve((router) => router.service(JobService, {}));
    const redirecting = createServer((request, response) => {
      response.writeHead(307, { location: `${url}${request.url}` }).end();
    });
    servers.push(redirecting);
    await new Promise<void>((listening) => redirecting.listen(0, "127.0.0.1", listening));
    const from = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}`;
    await expect(
      new EasyCron({ url: from, apiKey: "k" }).raw.jobs.getJob({ name: "a" }),
    ).rejects.toBeInstanceOf(EasyCronError);
    expect(seen).toEqual([]);
  });

  test("whatever was thrown inside", () => {
    const error = new EasyCronError("gone", { code: "NOT_FOUND" });
    expect(EasyCronError.from(error)).toBe(error);
    const cause = new Error("boom");
    expect(EasyCronError.from(cause)).toMatchObject({ code: "UNKNOWN", message: "boom", cause });
  });
});
