/** How long the built-in stores remember a completed id: 7 days, the longest time for which EasyCron tries again. */
export const DEFAULT_KEEP_MS = 7 * 86_400_000;

/** What is asked of `claim`. */
export interface ClaimRequest {
  /** How long the claim holds, in milliseconds, unless it is renewed. */
  readonly leaseMs: number;
  /** The token of the claim that is to be renewed. Undefined for a new claim. */
  readonly token?: number | undefined;
}

/** The answer to `claim`. */
export type ClaimAnswer =
  /** The caller holds the id. `token` is larger than every earlier token of this id. */
  | { readonly kind: "CLAIMED"; readonly token: number }
  /** The id was completed with this result. */
  | { readonly kind: "COMPLETED"; readonly result: string }
  /** Somebody else holds the id, for at most so many milliseconds more unless they renew. */
  | { readonly kind: "HELD"; readonly retryAfterMs: number };

/**
 * Remembers which ids are being processed, and which have been. Any object with these three methods will do. Each
 * method is atomic. An id has one valid token at a time: that of its last claim, until it is released.
 */
export interface IdempotencyStore {
  /**
   * Claims an id that nobody has completed and nobody holds; a claim whose lease has ended does not count. With a
   * token it renews instead: the lease then begins anew if the token is the valid one, even if the lease has ended.
   */
  claim(id: string, request: ClaimRequest): Promise<ClaimAnswer>;
  /**
   * Completes an id for good, if the token is the valid one. Returns whether it was. A second call with the same token
   * changes nothing, and returns true.
   */
  complete(id: string, token: number, result: string): Promise<boolean>;
  /** Gives a claim up, so that the next one succeeds at once. Does nothing if the token is not the valid one. */
  release(id: string, token: number): Promise<void>;
}

/** A claim that is part of a transaction. */
export interface TransactionClaim<Client> {
  /** The fencing token. */
  readonly token: number;
  /** The connection whose transaction the claim is part of. */
  readonly client: Client;
}

/** The answer to `run`. */
export type TransactionAnswer = { readonly kind: "RAN" } | Exclude<ClaimAnswer, { kind: "CLAIMED" }>;

/** A store whose claims are part of a transaction, in which the handler writes, too. */
export interface TransactionalStore<Client> {
  /**
   * Begins a transaction, claims the id in it, calls `work`, records the result that it returns, and commits. If
   * anything fails, the transaction is undone and the error is thrown.
   */
  run(id: string, work: (claim: TransactionClaim<Client>) => Promise<string>): Promise<TransactionAnswer>;
}

/**
 * Keeps a text for each key, and changes it only if it is still what the caller read. `checkChain` uses it. The
 * built-in stores have these methods as well.
 */
export interface TextStore {
  /** Returns the text of a key. Undefined if there is none. */
  read(key: string): Promise<string | undefined>;
  /** Replaces the text `before` (undefined: none) by `after`. Returns false if another text is there. */
  swap(key: string, before: string | undefined, after: string): Promise<boolean>;
}
