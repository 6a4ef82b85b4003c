// BullMQ 6: recurring jobs, a job scheduler with a cron pattern each. Its due times are whole seconds.
import type { Adapter, PeerJob } from "./adapter.ts";
import { adapter as delayed, JOB_OPTIONS, withQueue } from "./bullmq.ts";

const CALLERS = 200;

export const adapter: Adapter = {
  ...delayed,
  load: (stores, jobs) =>
    withQueue(stores, async (queue) => {
      let next = 0;
      const work = async () => {
        for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) {
          const repeat = { pattern: patternOf(job), tz: "UTC" };
          await queue.upsertJobScheduler(`s-${job.id}`, repeat, {
            name: "hook",
            data: job,
            opts: JOB_OPTIONS,
          });
        }
      };
      await Promise.all(Array.from({ length: CALLERS }, work));
    }),
};

function patternOf({ dueMs }: PeerJob): string {
  const due = new Date(dueMs);
  return `${due.getUTCSeconds()} ${due.getUTCMinutes()} ${due.getUTCHours()} * * *`;
}
