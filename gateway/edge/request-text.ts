import { AsyncLocalStorage } from "node:async_hooks";

interface Slot {
  text: string | undefined;
}

const slots = new AsyncLocalStorage<Slot>();
const utf8 = new TextDecoder();

/** Runs `serve` for one call. Within it, `requestText` returns what `rememberingDecoder` has decoded. */
export function withRequestText<T>(serve: () => T): T {
  return slots.run({ text: undefined }, serve);
}

/**
 * Decodes UTF-8 for connect, and keeps the text for the call. Connect's own errors do not name the field that they
 * are about; the text does, whatever the protocol and the compression it came in.
 */
export const rememberingDecoder = {
  decode(bytes?: Uint8Array): string {
    const text = utf8.decode(bytes);
    const slot = slots.getStore();
    if (slot !== undefined) slot.text = text;
    return text;
  },
};

/** The JSON text of the call's request; undefined in a binary protocol, and before it has been read. */
export function requestText(): string | undefined {
  return slots.getStore()?.text;
}
