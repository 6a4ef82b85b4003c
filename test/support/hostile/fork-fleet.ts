import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Behaviour } from "./behaviour.ts";
import { BEHAVIOURS } from "./fleet.ts";

/** Every hostile receiver, in a process of its own. */
export interface ForkedFleet {
  readonly receivers: readonly { readonly behaviour: Behaviour; readonly url: string }[];
  /** The certificate of their authority, in PEM. */
  readonly certificate: string;
  stop(): Promise<void>;
}

/** Starts a server for each behaviour. */
export async function forkFleet(): Promise<ForkedFleet> {
  const child = fork(join(import.meta.dirname, "program.ts"));
  const [{ certificate, urls }] = (await once(child, "message")) as [{ certificate: string; urls: string[] }];
  return {
    certificate,
    receivers: BEHAVIOURS.map((behaviour, index) => ({ behaviour, url: urls[index] ?? "" })),
    stop: async () => {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}
