/**
 * How many events a pass may hand over. It becomes smaller while hand-overs are slow. A dispatcher that cannot record a
 * whole batch within the time limit records nothing of it, and the next pass would send the same batch. With smaller
 * batches, a slow dispatcher or a slow PostgreSQL gets as much done as it can.
 */
export interface PassSize {
  /** The most events of the next pass, from 20 to 5,000. */
  readonly maxEvents: number;
  /** Runs `send`, which hands over this many events, and takes its time into account. */
  measure<T>(events: number, send: () => Promise<T>): Promise<T>;
}

const MOST_EVENTS = 5_000;
const FEWEST_EVENTS = 20;

/**
 * Makes the size of a scheduler's passes; at first it is the largest.
 *
 * - A hand-over that takes more than half of `limitMs`, the time that a dispatcher has, makes the next pass half as
 *   large. One that also fails makes it a quarter as large.
 * - One that takes less than a quarter of that time, and was at least half as large as allowed, doubles the size.
 * - One that fails sooner changes nothing: it would fail with fewer events, too.
 */
export function createPassSize(limitMs: number, elapsedMs = () => performance.now()): PassSize {
  let maxEvents = MOST_EVENTS;
  return {
    get maxEvents() {
      return maxEvents;
    },
    measure: async (events, send) => {
      const beganMs = elapsedMs();
      const shrinkIfSlow = (divisor: number) => {
        if (elapsedMs() - beganMs <= limitMs / 2) return;
        maxEvents = Math.max(FEWEST_EVENTS, Math.floor(Math.min(events, maxEvents) / divisor));
      };
      try {
        const sent = await send();
        shrinkIfSlow(2);
        const isQuick = elapsedMs() - beganMs < limitMs / 4;
        if (isQuick && events >= maxEvents / 2) maxEvents = Math.min(MOST_EVENTS, 2 * maxEvents);
        return sent;
      } catch (error) {
        shrinkIfSlow(4);
        throw error;
      }
    },
  };
}
