import { createSecretKey } from "node:crypto";
import { expect, test } from "vitest";
import { isGenuine, makeToken, parseToken } from "./token.ts";

const key = createSecretKey(Buffer.alloc(32, 1));
const subject = { projectId: "proj_01h455vb4pex5vsknk084sn02q", triggerId: "trg_a", attempt: 3 };

function check(token: string, triggerId = "trg_a", by = key): boolean {
  const claimed = parseToken(token);
  return claimed !== undefined && isGenuine(by, triggerId, claimed);
}

test("a token is genuine for its trigger and attempt, under its key, and for nothing else", () => {
  const token = makeToken(key, subject);
  expect(token).toMatch(/^ack_proj_01h455vb4pex5vsknk084sn02q\.3\.[\w-]{43}$/);
  expect(parseToken(token)).toMatchObject({ projectId: subject.projectId, attempt: 3 });
  expect(check(token)).toBe(true);
  expect(check(token, "trg_b")).toBe(false);
  expect(check(token, "trg_a", createSecretKey(Buffer.alloc(32, 2)))).toBe(false);
  expect(check(token.replace(".3.", ".4."))).toBe(false);
});

test("what does not have the form of a token is none", () => {
  const token = makeToken(key, subject);
  const wrong = [
    "",
    "ack_",
    token.slice(1),
    `${token}A`,
    token.slice(0, -1),
    token.replace(".3.", ".0."),
    `${token}\n`,
  ];
  for (const text of wrong) expect(parseToken(text), text).toBeUndefined();
});
