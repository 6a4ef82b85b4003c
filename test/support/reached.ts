/** Resolves at the instant `ms` (epoch milliseconds), or at once if it has passed. */
export function reached(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, Math.max(0, ms - Date.now())));
}
