import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { EasyCronError, failure } from "./errors.ts";
import { encodeStatusDetails, fromStatus, toStatus } from "./grpc-status.ts";

function sendAndReceive(error: EasyCronError): EasyCronError {
  const sent = toStatus(error);
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", encodeStatusDetails(sent));
  return fromStatus({ code: sent.code, details: sent.message, metadata }, "scheduler");
}

describe("a status", () => {
  test("brings reason, metadata, violations and retry delay to the other side", () => {
    const violations = [{ field: "job.target.webhook.url", description: "Not a URL." }];
    const error = failure("URL_INVALID", { value: "x" }, { violations, retryAfterMs: 1_500 });
    const { reason, message, metadata, retryAfterMs, code } = sendAndReceive(error);
    expect({ reason, message, metadata, retryAfterMs, code }).toEqual({
      reason: "URL_INVALID",
      message: error.message,
      metadata: { value: "x" },
      retryAfterMs: 1_500,
      code: status.INVALID_ARGUMENT,
    });
    expect(sendAndReceive(error).violations).toEqual(violations);
  });

  test("of an unknown error tells nothing of its cause, and keeps its id on the way", () => {
    const known = EasyCronError.from(new Error("password=hunter2"));
    const sent = toStatus(known);
    expect(
      JSON.stringify(sent, (_, value) => (typeof value === "bigint" ? `${value}` : value)),
    ).not.toContain("hunter2");
    expect(sendAndReceive(known).metadata.errorId).toBe(known.metadata.errorId);
  });

  test("stays small whatever a customer sent", () => {
    const violations = Array.from({ length: 1_000 }, () => ({
      field: "f".repeat(10_000),
      description: "😀\u0000".repeat(10_000),
    }));
    const sent = toStatus(failure("FIELD_INVALID", { field: "f".repeat(10_000) }, { violations }));
    expect(encodeStatusDetails(sent).byteLength).toBeLessThan(8_000);
    const badRequest = sent.details[1] && anyUnpack(sent.details[1], BadRequestSchema);
    const told = badRequest?.fieldViolations ?? [];
    expect(told.at(-1)?.description).toBe(
      `This and ${1_000 - told.length} more are wrong too, and told when the others are right.`,
    );
  });

  test("tells some 40 violations, and says when it does not tell the last", () => {
    const violations = Array.from({ length: 40 }, (_, index) => ({
      field: `requests[${index}].job.target.webhook.url`,
      description: "It is required; accepted: an object with one of webhook, redis, kafka.",
    }));
    expect(sendAndReceive(failure("FIELD_INVALID", {}, { violations })).violations).toEqual(violations);
    const long = { field: "b", description: "x".repeat(256) };
    const found = sendAndReceive(failure("FIELD_INVALID", {}, { violations: Array(21).fill(long) }));
    expect(found.violations).toHaveLength(21);
    expect(found.violations.at(-1)?.description).toBe("It is wrong too, and told when the others are right.");
  });

  test("carries the domain", () => {
    const first = toStatus(failure("CANCELLED")).details[0];
    expect(first && anyUnpack(first, ErrorInfoSchema)).toMatchObject({
      domain: "easycron",
      reason: "CANCELLED",
    });
  });
});

describe("a status without details of ours", () => {
  test.each([
    [status.UNAVAILABLE, "SERVICE_UNAVAILABLE"],
    [status.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"],
    [status.CANCELLED, "CANCELLED"],
    [status.UNIMPLEMENTED, "METHOD_UNIMPLEMENTED"],
    [status.INTERNAL, "INTERNAL"],
    [status.UNKNOWN, "INTERNAL"],
  ])("of code %i is %s", (code, reason) => {
    const error = fromStatus({ code, details: "connect ECONNREFUSED 10.0.0.7:1" }, "scheduler");
    expect(error.reason).toBe(reason);
    expect(error.message).not.toContain("10.0.0.7");
  });

  test.each([
    ["broken bytes", Buffer.from([255, 255, 255])],
    ["nothing", Buffer.alloc(0)],
  ])("with %s in the trailer falls back to the code", (_, bytes) => {
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", bytes);
    expect(fromStatus({ code: status.UNAVAILABLE, details: "", metadata }, "scheduler").reason).toBe(
      "SERVICE_UNAVAILABLE",
    );
  });
});
