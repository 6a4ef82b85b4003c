import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { configDefaults, defineConfig } from "vitest/config";
import { KILLING, LONG_TESTS } from "./test/support/long-tests.ts";
import { LongestFirst } from "./test/support/longest-first.ts";
import { reportSlowestFiles } from "./test/support/slowest-files.ts";

// Node keeps what it has compiled for the next process: the tests start about a hundred, and each starts 0.4 s of CPU
// time sooner.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/compiled");

const UNIT = [
  "{bench,cron,db,dev,dispatcher,gateway,mesh,plugins,scheduler,sdk}/**/*.test.ts",
  "test/{,plugins/}*.test.ts",
];
// The modules of a worker process are loaded once for all its test files, which halves what a file costs. Only a test
// that replaces modules (vi.mock), or that looks at what a module declares when it is loaded, needs modules of its own.
const ISOLATED = globSync(UNIT, { exclude: ["**/node_modules"] }).filter((file) =>
  /vi\.mock\(|declaredStatements\(/.test(readFileSync(file, "utf8")),
);
// The short part of the tests of faults (vitest.faults.config.ts has all).
const SHORT_FAULTS = ["locked-rows", "poison-rows-at-once", "stalled-dispatcher"].map(
  (name) => `test/faults/${name}.test.ts`,
);

export default defineConfig({
  test: {
    pool: "forks",
    // Two cores: a third of the time of the unit tests is spent waiting, and more of that of the others, so two workers would
    // leave the cores idle.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // A poll that finds what it waits for ends at once, so a long limit costs nothing. Vitest's own, 1 s, is too short for a
    // busy machine.
    expect: { poll: { timeout: 15_000 } },
    reporters: ["default", reportSlowestFiles()],
    globalSetup: ["test/support/global-postgres.ts", "test/support/global-kafka.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: UNIT,
          exclude: [...configDefaults.exclude, ...ISOLATED, ...LONG_TESTS],
          isolate: false,
          testTimeout: 60_000,
          // Hooks make and drop databases, which takes more than the usual 10 s when the machine is busy.
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "isolated",
          include: ISOLATED,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        // Calls a product that runs as processes of its own. These tests often wait for a fire time.
        test: {
          name: "whole",
          isolate: false,
          include: ["test/whole/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...LONG_TESTS, KILLING],
          globalSetup: ["test/support/global-mesh.ts"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        // They look at lateness, but with much room, and mostly wait. So they run beside the whole product's tests.
        test: {
          name: "faults",
          isolate: false,
          include: SHORT_FAULTS,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
