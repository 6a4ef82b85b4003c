export type { ChainCheck, ChainGap } from "./chain/chain-state.ts";
export { checkChain } from "./chain/check-chain.ts";
export { explainGap } from "./chain/explain-gap.ts";
export type { TextStore } from "./idempotency/store.ts";
