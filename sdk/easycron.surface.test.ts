import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { EasyCron } from "./index.ts";
import { createSamples, readMethods, readServices } from "./testing/api.ts";

/** A request or an answer with every field, as a plain object. */
// biome-ignore lint/suspicious/noExplicitAny: the calls below take fields out of requests of every type.
type Sample = any;

/**
 * How the plain surface is called to send a request in which every field is set, by the method that it reaches. A new
 * method needs a line here, and a method on the surface.
 */
const CALLS: Readonly<Record<string, (client: EasyCron, request: Sample) => unknown>> = {
  "TriggerService/AcknowledgeTrigger": ({ triggers }, { id, token, ...rest }) =>
    triggers.acknowledge(id, token, rest),
  "JobService/CreateJob": ({ jobs }, { job, ...rest }) => jobs.create(job, rest),
  "JobService/GetJob": ({ jobs }, { name, ...rest }) => jobs.get(name, rest),
  "JobService/ListJobs": ({ jobs }, rest) => jobs.list(rest).pages(),
  "JobService/UpdateJob": ({ jobs }, { job, ...rest }) => jobs.update(job, rest),
  "JobService/DeleteJob": ({ jobs }, { name, ...rest }) => jobs.delete(name, rest),
  "JobService/PauseJob": ({ jobs }, { name, ...rest }) => jobs.pause(name, rest),
  "JobService/ResumeJob": ({ jobs }, { name, ...rest }) => jobs.resume(name, rest),
  "JobService/RunJob": ({ jobs }, { name, ...rest }) => jobs.run(name, rest),
  "JobService/BackfillJob": ({ jobs }, { name, ...rest }) => jobs.backfill(name, rest),
  "JobService/ListRevisions": ({ jobs }, { name, ...rest }) => jobs.listRevisions(name, rest).pages(),
  "JobService/GetRevision": ({ jobs }, { name, number, ...rest }) => jobs.getRevision(name, number, rest),
  "JobService/RevertJob": ({ jobs }, { name, number, ...rest }) => jobs.revert(name, number, rest),
  "JobService/BatchCreateJobs": ({ jobs }, { requests, ...rest }) =>
    jobs.batchCreate(
      requests.map(({ job }: Sample) => job),
      rest,
    ),
  "JobService/BatchUpdateJobs": ({ jobs }, { requests, ...rest }) => jobs.batchUpdate(requests, rest),
  "JobService/BatchDeleteJobs": ({ jobs }, { names, ...rest }) => jobs.batchDelete(names, rest),
  "JobService/BatchPauseJobs": ({ jobs }, rest) => jobs.batchPause(rest),
  "JobService/BatchResumeJobs": ({ jobs }, rest) => jobs.batchResume(rest),
  "JobService/ApplyJobs": ({ jobs }, { jobs: wanted, validateOnly, ...rest }) =>
    jobs.apply(wanted, { ...rest, dryRun: validateOnly }),
  "ScheduleService/PreviewSchedule": ({ schedules }, { name, job, ...rest }) =>
    schedules.preview(name ?? job, rest),
  "ScheduleService/SimulateSchedule": ({ schedules }, { name, job, ...rest }) =>
    schedules.simulate(name ?? job, rest),
  "ScheduleService/ListZoneDataImpacts": ({ schedules }, rest) => schedules.listZoneDataImpacts(rest).pages(),
  "CalendarService/CreateCalendar": ({ calendars }, { calendar, ...rest }) =>
    calendars.create(calendar, rest),
  "CalendarService/GetCalendar": ({ calendars }, { name, ...rest }) => calendars.get(name, rest),
  "CalendarService/ListCalendars": ({ calendars }, rest) => calendars.list(rest).pages(),
  "CalendarService/UpdateCalendar": ({ calendars }, { calendar, ...rest }) =>
    calendars.update(calendar, rest),
  "CalendarService/DeleteCalendar": ({ calendars }, { name, ...rest }) => calendars.delete(name, rest),
  "CalendarService/CheckCalendar": ({ calendars }, { name, ...rest }) => calendars.check(name, rest),
  "LedgerService/ListFireTimes": ({ ledger }, rest) => ledger.list(rest).pages(),
  "LedgerService/ExplainFireTime": ({ ledger }, rest) => ledger.explain(rest),
  "LedgerService/SkipFireTime": ({ ledger }, rest) => ledger.skip(rest),
  "LedgerService/AuditLedger": ({ ledger }, rest) => ledger.audit(rest),
  "TriggerService/GetTrigger": ({ triggers }, { id, ...rest }) => triggers.get(id, rest),
  "TriggerService/ListTriggers": ({ triggers }, rest) => triggers.list(rest).pages(),
  "TriggerService/ListAttempts": ({ triggers }, { trigger, ...rest }) =>
    triggers.listAttempts(trigger, rest).pages(),
  "TriggerService/DiscardTriggers": ({ triggers }, rest) => triggers.discard(rest),
  "TriggerService/ReplayTrigger": ({ triggers }, { id, ...rest }) => triggers.replay(id, rest),
  "TriggerService/ReplayTriggers": ({ triggers }, rest) => triggers.replayAll(rest),
  "OperationService/GetOperation": ({ operations }, { id, ...rest }) => operations.get(id, rest),
  "OperationService/ListOperations": ({ operations }, rest) => operations.list(rest).pages(),
  "OperationService/CancelOperation": ({ operations }, { id, ...rest }) => operations.cancel(id, rest),
  "SigningKeyService/CreateSigningKey": ({ signingKeys }, rest) => signingKeys.create(rest),
  "SigningKeyService/ListSigningKeys": ({ signingKeys }, rest) => signingKeys.list(rest).pages(),
  "SigningKeyService/RotateSigningKey": ({ signingKeys }, { id, ...rest }) => signingKeys.rotate(id, rest),
  "SigningKeyService/RevokeSigningKey": ({ signingKeys }, { id, ...rest }) => signingKeys.revoke(id, rest),
  "PluginService/EnablePlugin": ({ plugins }, { kind, ...rest }) => plugins.enable(kind, rest),
  "PluginService/GetPlugin": ({ plugins }, { kind, ...rest }) => plugins.get(kind, rest),
  "PluginService/ListPlugins": ({ plugins }, rest) => plugins.list(rest),
  "PluginService/UpdatePlugin": ({ plugins }, { kind, ...rest }) => plugins.update(kind, rest),
  "PluginService/RotatePluginCredentials": ({ plugins }, { kind, ...rest }) =>
    plugins.rotateCredentials(kind, rest),
  "PluginService/DisablePlugin": ({ plugins }, { kind, ...rest }) => plugins.disable(kind, rest),
  "SystemService/GetServerInfo": ({ system }, rest) => system.getServerInfo(rest),
  "ProjectService/CreateProject": ({ projects }, { project, ...rest }) => projects.create(project, rest),
  "ProjectService/GetProject": ({ projects }, rest) => projects.get(rest),
  "ProjectService/UpdateProject": ({ projects }, { project, ...rest }) => projects.update(project, rest),
  "ApiKeyService/CreateApiKey": ({ apiKeys }, rest) => apiKeys.create(rest),
  "ApiKeyService/ListApiKeys": ({ apiKeys }, rest) => apiKeys.list(rest).pages(),
  "ApiKeyService/RotateApiKey": ({ apiKeys }, { id, ...rest }) => apiKeys.rotate(id, rest),
  "ApiKeyService/RevokeApiKey": ({ apiKeys }, { id, ...rest }) => apiKeys.revoke(id, rest),
};

const methods = await readMethods();

/** Enough to set each member of every oneof. */
const MEMBERS = 4;
/** Enough to use each value of every enum. */
const CHOICES = 10;

/** Makes a transport that keeps the requests, in plain form, and gives the answers by the paths of their methods. */
async function createApi(answers: ReadonlyMap<string, object>, seen: { path: string; request: object }[]) {
  const services = await readServices();
  return createRouterTransport((router) => {
    for (const service of services) {
      const handlers = service.methods.map((method) => [
        method.localName,
        (request: object) => {
          const plain = decode(method.input, request as never) as object;
          seen.push({ path: `${service.name}/${method.name}`, request: plain });
          return encode(method.output, answers.get(`${service.name}/${method.name}`));
        },
      ]);
      router.service(service, Object.fromEntries(handlers));
    }
  });
}

const answers = new Map<string, object>();
const seen: { path: string; request: object }[] = [];
const client = new EasyCron({ transport: await createApi(answers, seen) });

/** Waits for a result. Of pages, returns the first. */
async function settle(result: unknown): Promise<unknown> {
  const awaited: unknown = await result;
  if (!(typeof awaited === "object" && awaited !== null && Symbol.asyncIterator in awaited)) return awaited;
  const pages = awaited as AsyncIterable<unknown>;
  for await (const page of pages) return page;
  return undefined;
}

/** Returns the values at the ends of a plain object, as JSON text. */
function leavesOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null || value instanceof Date) return [JSON.stringify(value)];
  return Object.values(value).flatMap(leavesOf);
}

describe("the plain surface", () => {
  test("has every method of the API", () => {
    expect(Object.keys(CALLS).sort()).toEqual([...methods.keys()].sort());
  });

  test("has no method that the calls of this test leave out", () => {
    const { raw: _raw, ...services } = client;
    const own = Object.values(services).flatMap((service) => Object.keys(service));
    // operations.wait reads with GetOperation.
    expect(own).toHaveLength(methods.size + 1);
  });

  test("is described in the README", async () => {
    const readme = await readFile(join(import.meta.dirname, "README.md"), "utf8");
    const { raw: _raw, ...services } = client;
    for (const [name, service] of Object.entries(services)) {
      const row = readme.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
      for (const method of Object.keys(service)) expect(row, `${name}.${method}`).toContain(`\`${method}\``);
    }
  });

  test.each([...methods])(
    "%s sends every field of its request, and returns every field of its answer",
    async (path, method) => {
      const call = CALLS[path] ?? (() => undefined);
      for (let choice = 0; choice < MEMBERS; choice++) {
        const request = createSamples().of(method.input, choice);
        const answer = createSamples().of(method.output, choice);
        answers.set(path, answer);
        seen.length = 0;
        const result = await settle(call(client, request));
        expect(seen).toEqual([{ path, request }]);
        expect(leavesOf(result)).toEqual(expect.arrayContaining(leavesOf(answer)));
      }
    },
  );
});

describe("a message that is converted twice", () => {
  const messages = new Map<string, DescMessage>();
  const collect = (desc: DescMessage) => {
    if (messages.has(desc.typeName)) return;
    messages.set(desc.typeName, desc);
    for (const { message } of desc.fields) if (message !== undefined) collect(message);
  };
  for (const { input, output } of methods.values()) [input, output].forEach(collect);

  test.each([...messages].filter(([name]) => name.startsWith("easycron.")))(
    "is the same: %s",
    (_name, desc) => {
      for (let choice = 0; choice < CHOICES; choice++) {
        const sample = createSamples().of(desc, choice);
        const plain = decode(desc, encode(desc, sample));
        expect(plain).toEqual(sample);
        // Plain JSON: nothing that JSON cannot show, such as a BigInt.
        expect(JSON.parse(JSON.stringify(plain))).toEqual(JSON.parse(JSON.stringify(sample)));
      }
    },
  );
});
