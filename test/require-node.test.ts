import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const script = resolve(import.meta.dirname, "../dev/require-node.mjs");

/** Runs the check as if Node had this version; returns its exit code and its output. */
async function checkUnder(version: string): Promise<{ code: number; stderr: string }> {
  const pretend = `Object.defineProperty(process,"versions",{value:{...process.versions,node:"${version}"}})`;
  const args = ["--import", `data:text/javascript,${encodeURIComponent(pretend)}`, script];
  try {
    const { stderr } = await promisify(execFile)(process.execPath, args);
    return { code: 0, stderr };
  } catch (error) {
    return error as { code: number; stderr: string };
  }
}

describe("the check of the Node version", () => {
  test.each(["18.20.0", "20.20.2", "22.18.9"])(
    "refuses Node %s with one line that says what to do",
    async (version) => {
      const { code, stderr } = await checkUnder(version);
      expect(code).toBe(1);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(stderr).toContain(`Node ${version} is too old, 22.19 or newer is needed.`);
    },
  );

  test.each(["22.19.0", "24.21.0", "26.1.0"])("accepts Node %s", async (version) => {
    expect(await checkUnder(version)).toMatchObject({ code: 0 });
  });
});
