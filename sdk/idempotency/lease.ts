import type { Clock } from "../clock.ts";
import { LostClaimError } from "./once-error.ts";
import type { IdempotencyStore } from "./store.ts";

/** A claim to be kept. */
export interface LeaseSettings {
  readonly store: IdempotencyStore;
  readonly id: string;
  readonly token: number;
  readonly leaseMs: number;
  readonly clock: Clock;
  /** Called once if the claim is lost. */
  readonly onLost: (error: LostClaimError) => void;
}

/**
 * Renews a claim three times per lease until the returned function is called. The claim counts as lost when the store
 * says so, and when no renewal has succeeded for a whole lease, whether the store fails or does not answer.
 */
export function keepLease({ store, id, token, leaseMs, clock, onLost }: LeaseSettings): () => void {
  let ended = false;
  let failure: unknown;
  const stop = () => {
    ended = true;
    cancelRenewal();
    cancelEnd();
  };
  const lose = () => {
    stop();
    onLost(new LostClaimError(id, failure));
  };
  const endAt = (endMs: number) => clock.after(Math.max(0, endMs - clock.now().getTime()), lose);
  const renewLater = () => clock.after(leaseMs / 3, () => void renew());
  const renew = async (): Promise<void> => {
    const startMs = clock.now().getTime();
    try {
      const { kind } = await store.claim(id, { leaseMs, token });
      if (ended) return;
      if (kind !== "CLAIMED") return lose();
      cancelEnd();
      cancelEnd = endAt(startMs + leaseMs);
    } catch (error) {
      // Another renewal follows before the lease ends. If none succeeds, this error is the cause of the loss.
      failure = error;
    }
    if (!ended) cancelRenewal = renewLater();
  };
  let cancelEnd = endAt(clock.now().getTime() + leaseMs);
  let cancelRenewal = renewLater();
  return stop;
}
