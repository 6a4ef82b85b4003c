import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { type FaultScene, nextSecond, openFaultScene } from "./scene.ts";

/** How long the healthy project may wait for its deliveries. */
const RESUMED_MS = 15_000;

let postgres: TestPostgres;
let proxy: TcpProxy;
let scene: FaultScene;

beforeAll(async () => {
  const { preparedData } = inject("easycronPostgres");
  postgres = await startPostgres({ copyOf: join(preparedData, "postgres") });
  const url = new URL(postgres.url);
  proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  url.pathname = "easycron";
  scene = await openFaultScene({ env: { DATABASE_URL: url.href } });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
  await proxy?.stop();
  await postgres?.stop();
});

/** Resolves when a process has shown a line to people since `from`. */
const untilShown = (process: string, text: string, from: number) =>
  expect
    .poll(() => scene.mesh.output.slice(from).filter((line) => line.startsWith(process)), { timeout: 60_000 })
    .toContainEqual(expect.stringContaining(text));

test("when PostgreSQL's host dies in silence and another one answers, deliveries resume within 15 s", async () => {
  const shown = scene.mesh.output.length;
  proxy.silence();
  const silentMs = nextSecond();
  const meanwhile = await scene.healthy.between(silentMs, silentMs + RESUMED_MS);
  const afterwards = await scene.healthy.between(silentMs + RESUMED_MS, silentMs + RESUMED_MS + 5_000);
  console.log(`silent PostgreSQL: ${JSON.stringify({ meanwhile, afterwards })}`);
  expect(meanwhile.worstMs).toBeLessThan(RESUMED_MS);
  expect(afterwards.worstMs).toBeLessThan(2_000);
  for (const process of ["scheduler-0", "dispatcher-0"]) {
    await untilShown(process, "PostgreSQL does not answer; connecting anew", shown);
  }
});

test("while no PostgreSQL answers, services say that they do not serve, and deliver within 15 s of its return", async () => {
  const shown = scene.mesh.output.length;
  proxy.blackhole();
  for (const process of ["scheduler-0", "dispatcher-0"]) {
    await untilShown(process, "a loop has not completed in time; not serving until it does", shown);
  }
  proxy.restore();
  const backMs = nextSecond();
  const meanwhile = await scene.healthy.between(backMs, backMs + RESUMED_MS);
  const afterwards = await scene.healthy.between(backMs + RESUMED_MS, backMs + RESUMED_MS + 5_000);
  console.log(`unreachable PostgreSQL, from its return: ${JSON.stringify({ meanwhile, afterwards })}`);
  expect(meanwhile.worstMs).toBeLessThan(RESUMED_MS);
  expect(afterwards.worstMs).toBeLessThan(2_000);
});
