import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { type Created, type CreateOptions, createJobs, type JobInit, webhookJob } from "./jobs.ts";
import type { Product } from "./product.ts";

const ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo"];
const DAY_MS = 86_400_000;
/** The label that each thousandth job has. */
const RARE = 1_000;

/**
 * Creates the stored jobs `from` to `to` - 1: with cron schedules in four time zones, labels, and no fire time in the
 * next half-year. Job 7 is called "stored-7".
 */
export function createStoredJobs(
  product: Product,
  from: number,
  to: number,
  options: CreateOptions = {},
): Promise<Created> {
  const startTime = timestampFromMs(Date.now() + 180 * DAY_MS);
  return createJobs(product, to - from, (index) => storedJob(from + index, startTime), options);
}

function storedJob(index: number, startTime: ReturnType<typeof timestampFromMs>): JobInit {
  const expression = `${index % 60} ${index % 24} * ${1 + (index % 12)} *`;
  return webhookJob("http://127.0.0.1:9/", {
    name: `stored-${index}`,
    schedules: [
      { kind: { case: "cron", value: { expression } }, timeZone: ZONES[index % ZONES.length] ?? "UTC" },
    ],
    startTime,
    labels: { team: `team-${index % 100}`, ...(index % RARE === 0 && { rare: "yes" }) },
  });
}

/**
 * Lets PostgreSQL do now what it would do by itself in the minutes after a load (VACUUM, ANALYZE, CHECKPOINT), and
 * returns the size of the database in bytes.
 */
export async function settleDatabase({ databaseUrl }: Product): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("vacuum analyze");
    await client.query("checkpoint");
    const { rows } = await client.query<{ bytes: string }>(
      "select pg_database_size(current_database()) as bytes",
    );
    return Number(rows[0]?.bytes);
  } finally {
    await client.end();
  }
}
