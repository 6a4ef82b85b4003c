import { failure } from "../../mesh/errors.ts";
import { type KindName, toWord } from "./kinds.ts";
import { type Lease, toInnerOptions } from "./lease.ts";
import type { PluginParts } from "./parts.ts";

const MOST_COUNTED = 100;
const MOST_NAMED = 5;

/** Throws PLUGIN_IN_USE, with how many and some names, if jobs of the project have the plugin as target. */
export async function refuseTargets({ scheduler }: PluginParts, lease: Lease): Promise<void> {
  const { projectId, kind } = lease;
  const request = { filter: filterOf(kind), pageSize: MOST_COUNTED };
  const { response } = await scheduler.listJobs({ projectId, request }, toInnerOptions(lease));
  const jobs = response?.jobs ?? [];
  if (jobs.length === 0) return;
  const isMore = response?.nextPageToken !== "";
  const names = jobs.slice(0, MOST_NAMED).map(({ name }) => name);
  throw failure("PLUGIN_IN_USE", {
    plugin: toWord(kind),
    count: isMore ? `at least ${jobs.length}` : String(jobs.length),
    jobs: names.join(", "),
  });
}

/** Pauses the active jobs that have the plugin as target, and returns how many. It can be repeated. */
export async function pauseTargets({ scheduler }: PluginParts, lease: Lease): Promise<number> {
  const { projectId, kind } = lease;
  const note = `The ${toWord(kind)} plugin, the target of this job, was disabled.`;
  const request = { filter: `${filterOf(kind)} AND state = ACTIVE`, note };
  let paused = 0;
  for (;;) {
    const answer = await scheduler.batchPauseJobs({ projectId, request }, toInnerOptions(lease));
    const { jobs = [], more = false } = answer.response ?? {};
    paused += jobs.length;
    if (!more || jobs.length === 0) return paused;
  }
}

function filterOf(kind: KindName): string {
  return `target = "${toWord(kind)}"`;
}
