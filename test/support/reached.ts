/** Resolves at an instant in epoch milliseconds, or at once when it has passed. */
export function reached(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, Math.max(0, ms - Date.now())));
}
