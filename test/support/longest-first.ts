import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files of the whole product that take long and mostly wait. They start before the unit tests, which meanwhile use the
 * cores.
 */
const WAITING = ["test/whole/start.test.ts", "test/whole/ordering.test.ts"];

/** The files that take about ten seconds or more, the longest first. A run ends with its ten slowest files. */
const LONGEST = [
  "dev/main.test.ts",
  "test/whole/readme.test.ts",
  "test/whole/change.test.ts",
  "test/faults/stalled-dispatcher.test.ts",
  "scheduler/ledger/ledger.property.test.ts",
  "dispatcher/signing-keys/change-keys.test.ts",
  "test/whole/api.test.ts",
  "test/whole/time.test.ts",
  "test/whole/acknowledgement.test.ts",
  "test/whole/plans.test.ts",
  "test/whole/signing-keys.test.ts",
  "test/whole/disable.test.ts",
  "test/whole/alerts.test.ts",
  "test/faults/locked-rows.test.ts",
  "test/faults/poison-rows-at-once.test.ts",
  "scheduler/reading/list-jobs.cost.test.ts",
  "test/plugins/plugin-service.test.ts",
  "dispatcher/app.silence.test.ts",
  "dispatcher/reading/list-triggers.cost.test.ts",
  "scheduler/app.isolation.test.ts",
  "scheduler/turns/tick.fair-share.test.ts",
  "test/refused-start.test.ts",
  "dispatcher/app.stop.test.ts",
  "cron/next.property.test.ts",
  "test/whole/metrics.test.ts",
  "dev/main.with.test.ts",
  "test/whole/alerts.kill.test.ts",
  "test/plugins/kill.test.ts",
  "test/whole/plugins-flow.test.ts",
  "sdk/package.test.ts",
  "plugins/kafka/provision.test.ts",
];

/** Projects whose files come after those of others, in this order. */
const LATER = ["faults", "whole", "isolated"];

/**
 * Runs the longest files of a project first, so that no file is left running alone at the end. Vitest does so from the
 * times of earlier runs, but a fresh clone has no earlier run. The files of a project stay together, because a worker
 * process ends when the next file is of another project, and the modules have to be loaded again.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root } = this.ctx.config;
    const places = new Map(files.map((file) => [file, placeOf(file, relative(root, file.moduleId))]));
    const usual = await super.sort(files);
    return usual.sort((a, b) => groupOf(a) - groupOf(b) || (places.get(a) ?? 0) - (places.get(b) ?? 0));
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder;
}

function placeOf({ project }: TestSpecification, path: string): number {
  const waiting = WAITING.indexOf(path);
  if (waiting !== -1) return waiting;
  const place = LONGEST.indexOf(path);
  const block = 1 + LATER.indexOf(project.name);
  return WAITING.length + block * (LONGEST.length + 1) + (place === -1 ? LONGEST.length : place);
}
