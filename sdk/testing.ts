export type { Clock } from "./clock.ts";
export { createFakeClock, type FakeClock } from "./fakes/fake-clock.ts";
export {
  createFakeDispatcher,
  type Endpoint,
  type FakeAttempt,
  type FakeDelivery,
  type FakeDispatcher,
  type FakeDispatcherOptions,
} from "./fakes/fake-dispatcher.ts";
export {
  type SignedTrigger,
  type SignTriggerOptions,
  signTrigger,
  TEST_SECRET,
} from "./fakes/sign-trigger.ts";
