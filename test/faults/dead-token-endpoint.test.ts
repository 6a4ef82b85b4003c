import { afterAll, beforeAll, expect, test } from "vitest";
import { startTokenServer, type TokenServer } from "../support/token-server.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

/** Each fires every second, and each of its attempts waits 10 s for a token. */
const JOBS = 100;
const SECONDS = 8;

let dead: TokenServer;
let alive: TokenServer;
beforeAll(async () => {
  [dead, alive] = [await startTokenServer(), await startTokenServer()];
});
afterAll(async () => {
  await Promise.all([dead.stop(), alive.stop()]);
});

test("a token endpoint that never answers holds up no other project, and no tokens of others", async () => {
  dead.answer(() => {});
  await using scene = await openFaultScene();
  const { healthy, troubled } = scene;
  const every = [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }];
  const jobOf = (name: string, url: string, tokens: TokenServer) => {
    const oauth2 = { tokenUrl: `${tokens.url}/${name}`, clientId: "me", clientSecret: "s3cr3t" };
    return { name, schedules: every, target: { webhook: { url, auth: { oauth2 } } } };
  };
  const waiting = Array.from({ length: JOBS }, (_, index) => ({
    job: jobOf(`waiting-${index}`, `${troubled.receiver.url}/waiting`, dead),
  }));
  expect(await troubled.call("JobService/BatchCreateJobs", { requests: waiting })).toMatchObject({
    status: 200,
  });
  // As many as a project may have in flight to one destination.
  await expect.poll(() => dead.requests.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(64);
  const startMs = nextSecond();
  const { client } = healthy.fleet;
  const other = { ...jobOf("token", `${healthy.receiver.url}/token`, alive), schedules: [] };
  await client.jobs.create(other);
  for (let run = 0; run < 5; run++) await client.jobs.run("token");
  const lateness = await healthy.between(startMs, startMs + SECONDS * 1_000);
  const withToken = await healthy.receiver.waitFor((all) => {
    const found = all.filter(({ path }) => path === "/token");
    return found.length >= 5 && found;
  });
  console.log(`dead token endpoint: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
  expect(new Set(withToken.map(({ headers }) => headers.authorization))).toEqual(new Set(["Bearer tok-1"]));
  expect(Math.max(...withToken.map(({ arrivedMs, nominalMs }) => arrivedMs - nominalMs))).toBeLessThan(3_000);
  const { requests } = troubled.receiver;
  expect(requests.filter(({ path }) => path === "/waiting")).toEqual([]);
});
