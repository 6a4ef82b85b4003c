import { describe, expect, test } from "vitest";
import { ReasonSchema } from "../gen/easycron/v1/reason_pb.ts";
import { Code } from "../gen/google/rpc/code_pb.ts";
import { EasyCronError, failure, REASONS, type ReasonName } from "./errors.ts";

const names = Object.keys(REASONS) as ReasonName[];
const slotsOf = (sentence: string) => [...sentence.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");

describe("the table of reasons", () => {
  test("has a row for every reason of the proto, and no other", () => {
    const inProto = ReasonSchema.values.filter((value) => value.number !== 0).map((value) => value.localName);
    expect([...names].sort()).toEqual([...inProto].sort());
  });

  test.each(names)("gives %s the code its proto comment names", async (name) => {
    const { readFile } = await import("node:fs/promises");
    const proto = await readFile(new URL("../proto/easycron/v1/reason.proto", import.meta.url), "utf8");
    const comment = new RegExp(`// ([A-Z_]+): [^\\n]*\\n  REASON_${name} =`).exec(proto)?.[1] ?? "";
    expect(REASONS[name].code).toBe((Code as Record<string, number>)[comment]);
  });

  test("gives RESOURCE_EXHAUSTED, which libraries repeat as HTTP 429, only to what may succeed a moment later", () => {
    const repeated = names.filter((name) => REASONS[name].code === Code.RESOURCE_EXHAUSTED);
    expect(repeated).toEqual(["TOO_MANY_CALLS"]);
  });

  test.each(names)("fills every slot of the sentence of %s", (name) => {
    const slots = slotsOf(REASONS[name].sentence);
    const error = failure(name, Object.fromEntries(slots.map((slot) => [slot, `<${slot}>`])));
    for (const slot of slots) expect(error.message).toContain(`<${slot}>`);
    expect(error.message).not.toMatch(/[{}]/);
  });
});

describe("an error", () => {
  test("keeps what a customer sent short and printable", () => {
    const error = failure("JOB_NOT_FOUND", { job: `a\n\u0000\ud800${"x".repeat(5_000)}` });
    expect(error.message).toContain("a\\u000a\\u0000\\ud800xxx");
    const fixedLength = REASONS.JOB_NOT_FOUND.sentence.length - "{job}".length;
    expect(error.message.length).toBe(fixedLength + 100);
    expect(error.metadata.job?.length).toBe(256);
  });

  test("never cuts a character in two", () => {
    const error = failure("JOB_NOT_FOUND", { job: "😀".repeat(200) });
    expect(error.message.isWellFormed()).toBe(true);
  });

  test("made from an unknown error shows only an id, and keeps the cause", () => {
    const cause = new Error("connect ECONNREFUSED 10.0.0.7:5432");
    const error = EasyCronError.from(cause);
    expect(error).toMatchObject({ reason: "INTERNAL", code: Code.INTERNAL, cause });
    expect(error.metadata.errorId).toMatch(/^err_[0-9a-f]{16}$/);
    expect(error.message).not.toContain("10.0.0.7");
  });

  test("made from an EasyCronError is that error", () => {
    const error = failure("CANCELLED");
    expect(EasyCronError.from(error)).toBe(error);
  });
});
