import { expect, test } from "vitest";
import { eachAtOnce } from "./batch-error.ts";
import { EasyCronError, failure } from "./errors.ts";
import { toLoggedError } from "./logged-error.ts";
import type { Logger } from "./logger.ts";

const silent = () => {};

/** Converts an error, and returns it with what was logged. */
function convert(error: unknown) {
  const logged: { readonly errorId?: string; readonly method?: string; readonly err?: unknown }[] = [];
  const logger: Logger = {
    debug: silent,
    info: silent,
    warn: silent,
    error: (fields) => logged.push(fields),
  };
  return { known: toLoggedError(error, logger, "GetJob"), logged };
}

test("an error that is no EasyCronError becomes INTERNAL, and its id is logged with the error itself", () => {
  const cause = new Error("10.0.0.7 refused");
  const { known, logged } = convert(cause);
  expect(known).toMatchObject({ reason: "INTERNAL", cause });
  expect(logged).toEqual([{ errorId: known.metadata.errorId, method: "GetJob", err: cause }]);
});

test("an INTERNAL error that another service made is logged here too, under the same id", () => {
  const theirs = EasyCronError.from(new Error("scheduler: gRPC code 13"));
  const { known, logged } = convert(theirs);
  expect(known).toBe(theirs);
  expect(logged.map(({ errorId }) => errorId)).toEqual([theirs.metadata.errorId]);
});

test("an error that cites no error id is not logged", () => {
  expect(convert(failure("JOB_NOT_FOUND", { job: "a" })).logged).toEqual([]);
});

test.each([
  ["when all its items failed of a defect", ["defect", "defect", "defect"], 3],
  ["when its first item failed for another reason", ["JOB_NOT_FOUND", "defect"], 1],
])("each error id in the error of a batch is logged once, %s", async (_, items, count) => {
  const call = eachAtOnce("requests", items, async (item) => {
    throw item === "defect" ? new Error("a defect") : failure("JOB_NOT_FOUND", { job: "a" });
  });
  const error: unknown = await call.catch((thrown: unknown) => thrown);
  const { known, logged } = convert(error);
  const { message, metadata, violations } = known;
  const cited = JSON.stringify({ message, metadata, violations }).match(/err_[0-9a-f]{16}/g);
  expect(new Set(cited).size).toBe(count);
  expect(logged.map(({ errorId }) => errorId).sort()).toEqual([...new Set(cited)].sort());
  for (const { err } of logged) expect(err).toMatchObject({ message: "a defect" });
});
