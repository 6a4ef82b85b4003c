import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openLogFile, toNotice } from "./log-file.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "easycron-log-"));
  path = join(directory, "a.log");
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("a log file", () => {
  test("is appended to by the next run", () => {
    for (const line of ["one", "two"]) {
      const log = openLogFile(path);
      log.write(line);
      log.close();
      log.write("lost");
    }
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("never takes more than twice its limit", () => {
    const log = openLogFile(path, 100);
    for (let index = 0; index < 100; index++) log.write(`line ${String(index).padStart(3, "0")}`);
    log.close();
    expect(readdirSync(directory).sort()).toEqual(["a.log", "a.log.1"]);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).size).toBeLessThan(120);
    expect(readFileSync(path, "utf8")).toContain("line 099");
  });
});

test.each([
  ['{"level":30,"msg":"serving"}', undefined],
  ['{"level":40,"msg":"slow"}', "warning: slow"],
  [
    '{"level":50,"msg":"failed","err":{"message":"connect\\nECONNREFUSED"}}',
    "error: failed (connect\\u000aECONNREFUSED)",
  ],
  ["plain text", undefined],
  ["{broken", undefined],
])("the log line %s is shown to the user as %s", (line, notice) => {
  expect(toNotice(line)).toBe(notice);
});
