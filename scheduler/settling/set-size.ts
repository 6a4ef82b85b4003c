/** How many jobs the next set should have, by the time that the sets before it took. */
export interface SetSize {
  /** The most jobs of the next set. */
  most(): number;
  /** Tells how long a set took, in milliseconds. */
  took(ms: number): void;
}

const FIRST_JOBS = 50;
const MIN_JOBS = 5;
const MAX_JOBS = 400;
/** The jobs of a set stay locked until its transaction ends, which should not take longer than this. */
const MAX_SET_MS = 250;
const SHORT_SET_MS = 100;

/** Makes the size of sets: 50 jobs at first, and then 5 to 400, so that a set takes about 100 to 250 ms. */
export function createSetSize(): SetSize {
  let jobs = FIRST_JOBS;
  return {
    most: () => jobs,
    took: (ms) => {
      if (ms > MAX_SET_MS) jobs = Math.max(MIN_JOBS, Math.floor(jobs / 2));
      else if (ms < SHORT_SET_MS) jobs = Math.min(MAX_JOBS, jobs * 2);
    },
  };
}
