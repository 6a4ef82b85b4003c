/** Resolves after `ms` milliseconds, at most 2^31-1. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
