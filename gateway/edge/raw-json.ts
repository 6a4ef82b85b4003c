import { randomBytes } from "node:crypto";

/*
 * An answer is written by protobuf's JSON writer, which cannot write a number with more digits than a double has. So a
 * JSON text that must stay as it is goes through the writer as a string that begins with a secret, and comes out of it as
 * a string again. The encoder, which is the last to see the answer, puts the text itself in its place.
 */

const SECRET = randomBytes(16).toString("hex");
const MARKED = new RegExp(`"${SECRET}([^"\\\\]*(?:\\\\.[^"\\\\]*)*)"`, "g");
const utf8 = new TextEncoder();

/** Returns a text that stands for a JSON text in an answer that `rawJsonEncoder` encodes. */
export function toRawJson(json: string): string {
  return `${SECRET}${json}`;
}

/** Encodes the JSON text of an answer in UTF-8, with the texts of `toRawJson` as they are. */
export const rawJsonEncoder = {
  encode(text = ""): Uint8Array<ArrayBuffer> {
    const whole = text.includes(SECRET)
      ? text.replace(MARKED, (_, inner: string) => JSON.parse(`"${inner}"`) as string)
      : text;
    return utf8.encode(whole);
  },
};
