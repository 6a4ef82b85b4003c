import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { GetJobRequestSchema, JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { failure } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { createErrorsInterceptor } from "./errors.ts";

const logged: Record<string, unknown>[] = [];
const silent = () => {};
const logger: Logger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: (fields) => logged.push({ ...fields }),
};

async function errorWhen(thrown: unknown, signal = new AbortController().signal): Promise<ConnectError> {
  const request: UnaryRequest = {
    stream: false,
    service: JobService,
    method: JobService.method.getJob,
    requestMethod: "POST",
    url: "http://a/",
    header: new Headers(),
    contextValues: createContextValues(),
    signal,
    message: create(GetJobRequestSchema),
  };
  const call = createErrorsInterceptor(logger)(() => Promise.reject(thrown));
  return call(request).then(
    () => new ConnectError("no error"),
    (error: ConnectError) => error,
  );
}

const reasonOf = (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0]?.reason;

test("an EasyCronError keeps its code, its details and its retry delay", async () => {
  const error = await errorWhen(failure("SERVICE_UNAVAILABLE", { service: "x" }, { retryAfterMs: 1 }));
  expect([error.code, reasonOf(error)]).toEqual([Code.Unavailable, "SERVICE_UNAVAILABLE"]);
  expect(error.metadata.get("retry-after")).toBe("1");
});

test("any other error becomes INTERNAL, shows nothing of its cause, and is logged with its id", async () => {
  logged.length = 0;
  const cause = new Error("10.0.0.7 refused");
  const error = await errorWhen(cause);
  expect([error.code, reasonOf(error)]).toEqual([Code.Internal, "INTERNAL"]);
  expect(error.rawMessage).not.toContain("10.0.0.7");
  expect(logged).toEqual([{ errorId: expect.stringMatching(/^err_/), method: "GetJob", err: cause }]);
  expect(error.rawMessage).toContain(logged[0]?.errorId);
});

test("an error of Connect itself passes unchanged", async () => {
  const error = new ConnectError("x", Code.Unimplemented);
  expect(await errorWhen(error)).toBe(error);
});

test("a call that the deadline cancelled is DEADLINE_EXCEEDED", async () => {
  const late = AbortSignal.abort(new ConnectError("x", Code.DeadlineExceeded));
  expect(reasonOf(await errorWhen(failure("CANCELLED"), late))).toBe("DEADLINE_EXCEEDED");
  expect(reasonOf(await errorWhen(failure("CANCELLED"), AbortSignal.abort()))).toBe("CANCELLED");
});
