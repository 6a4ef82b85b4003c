import { expect, test } from "vitest";
import { parseAcknowledgePath, toAcknowledgeCall } from "./acknowledge-url.ts";

const named = { id: "trg_1", token: "ack_proj_1.1.a-b_c" };

async function bodyOf(...chunks: string[]): Promise<string> {
  const body = (async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk);
  })();
  const header = new Headers({
    "content-type": "text/plain",
    authorization: "Bearer x",
    traceparent: "00-a",
  });
  const given = {
    httpVersion: "1.1",
    method: "POST",
    url: "http://a/x",
    signal: new AbortController().signal,
  };
  const call = toAcknowledgeCall({ ...given, header, body }, named);
  expect(call.url).toBe("http://a/easycron.v1.TriggerService/AcknowledgeTrigger");
  expect([...call.header]).toEqual([
    ["content-type", "application/json"],
    ["traceparent", "00-a"],
  ]);
  const parts: Uint8Array[] = [];
  for await (const part of call.body as AsyncIterable<Uint8Array>) parts.push(part);
  return Buffer.concat(parts).toString();
}

test("the path names a trigger and a token", () => {
  expect(parseAcknowledgePath("/acknowledge/trg_1/ack_proj_1.1.a-b_c")).toEqual(named);
  for (const path of [
    "/acknowledge/trg_1",
    "/acknowledge/trg_1/a/b",
    "/acknowledge//a",
    "/x/acknowledge/t/a",
  ])
    expect(parseAcknowledgePath(path), path).toBeUndefined();
});

test("the body may be empty or have fields, but not name another trigger", async () => {
  expect(JSON.parse(await bodyOf())).toEqual(named);
  expect(JSON.parse(await bodyOf(" \n"))).toEqual(named);
  expect(JSON.parse(await bodyOf('{"message"', ':"ü","id":"trg_2","token":"x"}'))).toEqual({
    ...named,
    message: "ü",
  });
});

test("what is no JSON object stays as it is, so that the call is refused", async () => {
  for (const text of ["{", "7", "[]", "null"]) expect(await bodyOf(text)).toBe(text);
});

test("a body that is too large is not read", async () => {
  await expect(bodyOf("x".repeat(9_000), "x".repeat(9_000))).rejects.toThrow("at most 16384 bytes");
});
