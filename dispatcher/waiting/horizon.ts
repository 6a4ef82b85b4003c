/** Triggers that are due within this many milliseconds are held in memory. */
export const HORIZON_MS = 10_000;
