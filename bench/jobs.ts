import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Pool } from "undici";
import { BatchCreateJobsRequestSchema } from "../sdk/gen/easycron/v1/job_batch_pb.ts";
import type { JobSchema } from "../sdk/gen/easycron/v1/job_pb.ts";
import { CreateJobRequestSchema } from "../sdk/gen/easycron/v1/job_service_pb.ts";
import { at } from "./programs.ts";

/** A job as the API takes it. */
export type JobInit = Extract<MessageInitShape<typeof JobSchema>, { readonly $typeName?: never }>;

/** Where the API is, and the key of a project. */
export interface Access {
  readonly url: string;
  readonly apiKey: string;
}

/** How jobs are created. */
export interface CreateOptions {
  /** How many calls are under way at once. Default 4. */
  readonly callers?: number;
  /** How many jobs one call creates. 1: by CreateJob. Default 500. */
  readonly batch?: number;
}

/** What creating jobs took. */
export interface Created {
  readonly seconds: number;
  /** How many calls were refused for the moment (HTTP 429 or 503), and made again. */
  readonly refused: number;
}

const RETRY_AFTER_MS = 50;
const PATHS = {
  batch: "/easycron.v1.JobService/BatchCreateJobs",
  single: "/easycron.v1.JobService/CreateJob",
};

/**
 * Creates the jobs 0 to `count` - 1 through the public API, in the binary form of the SDK. Answers are not decoded, so
 * that the caller takes little of the CPU. Throws when a call fails, unless it is refused for the moment only.
 */
export async function createJobs(
  access: Access,
  count: number,
  jobOf: (index: number) => JobInit,
  { callers = 4, batch = 500 }: CreateOptions = {},
): Promise<Created> {
  const pool = new Pool(access.url, { connections: callers, bodyTimeout: 120_000, headersTimeout: 120_000 });
  let next = 0;
  let refused = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + batch);
      const jobs = Array.from({ length: next - from }, (_, index) => jobOf(from + index));
      while (!(await isCreated(pool, access.apiKey, jobs, batch === 1))) {
        refused += 1;
        await at(Date.now() + RETRY_AFTER_MS);
      }
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: callers }, work));
  const seconds = (performance.now() - startedMs) / 1_000;
  await pool.close();
  return { seconds, refused };
}

/** Makes one call. Returns false when it was refused for the moment. */
async function isCreated(
  pool: Pool,
  apiKey: string,
  jobs: readonly JobInit[],
  isSingle: boolean,
): Promise<boolean> {
  const body = isSingle
    ? toBinary(CreateJobRequestSchema, create(CreateJobRequestSchema, { job: jobs[0] ?? {} }))
    : toBinary(
        BatchCreateJobsRequestSchema,
        create(BatchCreateJobsRequestSchema, { requests: jobs.map((job) => ({ job })) }),
      );
  const path = isSingle ? PATHS.single : PATHS.batch;
  const response = await pool.request({
    path,
    method: "POST",
    body,
    headers: {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/proto",
      "connect-protocol-version": "1",
    },
  });
  if (response.statusCode === 200) {
    await response.body.dump({ limit: 64 * 1_024 * 1_024 });
    return true;
  }
  const text = await response.body.text();
  if (response.statusCode === 429 || response.statusCode === 503) return false;
  throw new Error(`${path} was answered with HTTP ${response.statusCode}: ${text.slice(0, 500)}`);
}

/** A job that calls a URL, with a payload of 100 characters. */
export function webhookJob(url: string, job: JobInit): JobInit {
  return {
    target: { kind: { case: "webhook", value: { url } } },
    payload: { kind: { case: "stringValue", value: "x".repeat(100) } },
    ...job,
  };
}

/** A schedule that is due every `everyMs`, the first time at `firstMs` (epoch milliseconds). */
export function every(everyMs: number, firstMs: number): Pick<JobInit, "schedules" | "startTime"> {
  const duration = { seconds: BigInt(Math.floor(everyMs / 1_000)), nanos: (everyMs % 1_000) * 1_000_000 };
  const value = { every: duration, anchorTime: timestampFromMs(firstMs) };
  return { schedules: [{ kind: { case: "rate", value } }], startTime: timestampFromMs(firstMs) };
}
