import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

const SHOWN = 10;

/**
 * Returns a vitest reporter that ends the output of a run with its ten slowest test files and one plain line: how many
 * tests passed, failed and did not run, and how long the run took. The time of a file is that of its imports, hooks
 * and tests.
 */
export function reportSlowestFiles(): Reporter {
  let startMs = performance.now();
  return {
    onTestRunStart: () => {
      startMs = performance.now();
    },
    onTestRunEnd: (modules) => {
      if (modules.length > 1) printSlowest(modules);
      printTotal(modules, performance.now() - startMs);
    },
  };
}

function printTotal(modules: readonly TestModule[], ms: number): void {
  const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) counts[test.result().state]++;
  }
  const broken = modules.filter((module) => module.errors().length > 0).length;
  const words = [
    `${counts.passed} tests passed`,
    `${counts.failed} failed`,
    `${counts.skipped + counts.pending} did not run`,
    ...(broken === 0 ? [] : [`${broken} files could not be loaded`]),
  ];
  console.log(`${words.join(", ")}; ${modules.length} files in ${(ms / 1_000).toFixed(0)} s.`);
}

function printSlowest(modules: readonly TestModule[]): void {
  const slowest = modules
    .map((module) => ({ path: relative(process.cwd(), module.moduleId), ms: durationOf(module) }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SHOWN);
  console.log("The slowest files:");
  for (const { path, ms } of slowest) console.log(`${(ms / 1_000).toFixed(1).padStart(6)} s  ${path}`);
}

function durationOf(module: TestModule): number {
  const { collectDuration, setupDuration, duration } = module.diagnostic();
  return collectDuration + setupDuration + duration;
}
