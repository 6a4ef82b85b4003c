import { expect, test } from "vitest";
import type { AttemptTiming } from "./outcome.ts";
import { parseTimingText, toTimingText } from "./timing-text.ts";

test.each<[string, AttemptTiming]>([
  ["", { isReused: true }],
  ["12", { isReused: true, firstByteMs: 12 }],
  ["0", { isReused: true, firstByteMs: 0 }],
  [",,,", { isReused: false }],
  [",3,,", { isReused: false, dnsMs: 3 }],
  ["5,,1,", { isReused: false, firstByteMs: 5, connectMs: 1 }],
  ["12,0,20,41", { isReused: false, firstByteMs: 12, dnsMs: 0, connectMs: 20, tlsMs: 41 }],
])("a timing is stored as %j, and read back", (text, timing) => {
  expect(toTimingText(timing)).toBe(text);
  expect(parseTimingText(text)).toEqual(timing);
});
