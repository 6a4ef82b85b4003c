const MEASURE_MS = 300;
const ROUNDS = 3;

/**
 * Returns how often an operation runs per second of CPU time: the best of three rounds of at least 0.3 s. Earlier,
 * shorter rounds find how many calls that takes. CPU time leaves out what other processes use.
 */
export function perSecond(operation: () => void): number {
  const rates: number[] = [];
  for (let round = 100; rates.length < ROUNDS; ) {
    const before = process.cpuUsage();
    for (let n = 0; n < round; n += 1) operation();
    const { user, system } = process.cpuUsage(before);
    const elapsed = (user + system) / 1000;
    if (elapsed >= MEASURE_MS) rates.push((round / elapsed) * 1000);
    else round = Math.ceil(round * Math.min(10, Math.max(2, (MEASURE_MS * 1.2) / Math.max(elapsed, 1))));
  }
  return Math.max(...rates);
}
