import { create } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { GetJobRequestSchema, JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { traceInterceptor, traceparentKey } from "./trace.ts";

async function traceOf(header: Record<string, string>): Promise<string | undefined> {
  const contextValues = createContextValues();
  const call = traceInterceptor(() => Promise.reject(new Error("far enough")));
  const request = {
    stream: false,
    service: JobService,
    method: JobService.method.getJob,
    requestMethod: "POST",
    url: "http://a/",
    header: new Headers(header),
    contextValues,
    signal: new AbortController().signal,
    message: create(GetJobRequestSchema),
  } as const;
  await call(request).catch(() => {});
  return contextValues.get(traceparentKey);
}

test("the interceptor continues the caller's trace with a new span", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  expect(await traceOf({ traceparent })).toMatch(
    /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad)[0-9a-f]{16}-01$/,
  );
});

test.each([{}, { traceparent: "nonsense" }])("the interceptor starts a new trace for %j", async (header) => {
  expect(await traceOf(header)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});
