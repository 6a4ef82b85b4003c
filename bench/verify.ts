import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { verify } from "../sdk/webhook.ts";
import { verify as verifyWeb } from "../sdk/webhook.web.ts";
import { perSecond } from "./per-second.ts";
import type { Findings } from "./report.ts";

export const title = "webhooks verified per second of CPU time, compared with other libraries";

const SECRET_BYTES = Buffer.alloc(32, 7);
const SECRET = `whsec_${SECRET_BYTES.toString("base64")}`;
const ID = "trg_qknmkgaskq0g25p98963fabgmr";
const ROUNDS = 2;

/** What each contender verifies: a request as Node gives it, with a body of some length. */
interface Sample {
  readonly body: Buffer;
  readonly headers: Record<string, string>;
}

type Contender = { readonly name: string; readonly verifierOf: (sample: Sample) => () => unknown };

const CONTENDERS: readonly Contender[] = [
  {
    name: "easycron",
    verifierOf:
      ({ body, headers }) =>
      () =>
        verify(body, headers, SECRET),
  },
  {
    name: "easycron without node:crypto",
    verifierOf:
      ({ body, headers }) =>
      () =>
        verifyWeb(body, headers, SECRET),
  },
  {
    name: "standardwebhooks",
    verifierOf: ({ body, headers }) => {
      const webhook = new StandardWebhook(SECRET);
      return () => webhook.verify(body, headers);
    },
  },
  {
    name: "svix",
    verifierOf: ({ body, headers }) => {
      const webhook = new SvixWebhook(SECRET);
      return () => webhook.verify(body, headers);
    },
  },
  {
    // The usual way with node:crypto and the key made once. It parses nothing and checks no time.
    name: "floor",
    verifierOf: ({ body, headers }) => {
      const key = createSecretKey(SECRET_BYTES);
      const prefix = `${ID}.${headers["webhook-timestamp"]}.`;
      const expected = Buffer.from(headers["webhook-signature"]?.slice("v1,".length) ?? "", "base64");
      return () => timingSafeEqual(createHmac("sha256", key).update(prefix).update(body).digest(), expected);
    },
  },
];

/**
 * Measures each contender on a usual body (no payload to speak of) and on one with a payload of 8 KB. Its rounds
 * alternate with those of the others, so that other work on the machine slows all of them; the best round counts.
 */
export async function run(): Promise<Findings> {
  const samples = [createSample({ company: 42 }), createSample({ text: "x".repeat(8_192) })];
  const best = CONTENDERS.map(() => samples.map(() => 0));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { verifierOf }] of CONTENDERS.entries()) {
      for (const [at, sample] of samples.entries()) {
        const rates = best[index] ?? [];
        rates[at] = Math.max(rates[at] ?? 0, perSecond(verifierOf(sample)));
      }
    }
  }
  const rows = CONTENDERS.map(({ name }, index) => {
    const [small = 0, large = 0] = best[index] ?? [];
    return { name, verifiedPerSecond: Math.round(small), verified8KBPerSecond: Math.round(large) };
  });
  return { rows };
}

function createSample(payload: unknown): Sample {
  const time = "2026-03-01T09:00:00.000Z";
  const data = {
    trigger: ID,
    kind: "SCHEDULED",
    project: "proj_01jd3k8z5me9t8r7q6p5n4m3k2",
    job: { name: "payroll", uid: "job_01jd3k8z5me9t8r7q6p5n4m3k2", revision: 3 },
    nominalTime: time,
    effectiveTime: time,
    seq: 41,
    previousNominalTime: "2026-02-27T09:00:00.000Z",
    nextNominalTime: null,
    attempt: 1,
    payload,
  };
  const body = Buffer.from(JSON.stringify({ type: "trigger.fired", timestamp: time, data }));
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const hmac = createHmac("sha256", SECRET_BYTES).update(`${ID}.${timestamp}.`).update(body);
  const headers = {
    host: "127.0.0.1:9001",
    "content-type": "application/json",
    "user-agent": "EasyCron/0.1.0",
    "webhook-id": ID,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${hmac.digest("base64")}`,
    "idempotency-key": ID,
    "easycron-attempt": "1",
    "easycron-nominal-time": time,
    "content-length": String(body.length),
    connection: "keep-alive",
  };
  return { body, headers };
}
