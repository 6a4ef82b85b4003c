import { expect, test } from "vitest";
import { keepHeaders } from "./kept-headers.ts";

const answer = {
  "content-type": "text/html",
  "set-cookie": ["session=s3cr3t"],
  authorization: "Bearer s3cr3t",
  "x-request-id": "req_1",
  location: ["/a", "/b"],
  server: "nginx\r\nx: \u00e9",
  via: "x".repeat(600),
};

test("of a success, the id of the request is kept", () => {
  expect(keepHeaders(answer, true)).toEqual({ "x-request-id": "req_1" });
  expect(keepHeaders({ server: "nginx", date: "now" }, true)).toBeUndefined();
});

test("of a failure, more is kept, cut and printable, and never a cookie or a secret", () => {
  expect(keepHeaders(answer, false)).toEqual({
    "content-type": "text/html",
    "x-request-id": "req_1",
    location: "/a",
    server: "nginx??x: ?",
    via: `${"x".repeat(500)}\u2026`,
  });
});
