/** Rounds of the event loop after which everything that the sockets held has been read. */
const ROUNDS = 3;

/**
 * Waits until everything that the sockets of this process hold is read. After a stall, a process runs its timers first
 * and reads its sockets afterwards. So whoever acts on a timer, or on a message that later ones may revoke, calls this
 * first.
 */
export async function untilSocketsRead(): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) await new Promise(setImmediate);
}
