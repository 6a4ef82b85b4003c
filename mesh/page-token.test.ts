import { describe, expect, test } from "vitest";
import { readPageToken, toPageToken } from "./page-token.ts";

const invalid = expect.objectContaining({
  reason: "PAGE_TOKEN_INVALID",
  violations: [
    { field: "pageToken", description: "pageToken is not valid for this list; start again without it." },
  ],
});

describe("a page token", () => {
  test.each(["", "payroll", "1780000000000/trg_1", "naïve – 日本"])(
    "gives its place %j back to the list it is of",
    (place) => {
      for (const list of ["jobs", ["jobs", "proj_1", { state: 2 }, null]]) {
        expect(readPageToken(list, toPageToken(list, place))).toBe(place);
      }
    },
  );

  test("is refused by another list, project or filter", () => {
    const token = toPageToken(["jobs", "proj_1", "name = *"], "payroll");
    for (const list of ["jobs", ["jobs", "proj_2", "name = *"], ["jobs", "proj_1", ""], ["jobs", "proj_1"]]) {
      expect(() => readPageToken(list, token)).toThrow(invalid);
    }
  });

  test("is refused when any of its characters is changed, dropped or added", () => {
    const token = toPageToken("jobs", "payroll");
    for (let at = 0; at < token.length; at += 1) {
      const other = token[at] === "A" ? "B" : "A";
      for (const middle of [other, "", `${token[at]}${other}`]) {
        const wrong = token.slice(0, at) + middle + token.slice(at + 1);
        expect(() => readPageToken("jobs", wrong)).toThrow(invalid);
      }
    }
    for (const wrong of ["x", "nonsense", "\0", " ", `${token}=`]) {
      expect(() => readPageToken("jobs", wrong)).toThrow(invalid);
    }
  });

  test("is refused when its place holds U+0000", () => {
    expect(() => readPageToken("jobs", toPageToken("jobs", "a\0b"))).toThrow(invalid);
  });

  test("is empty for the first page", () => {
    expect(readPageToken("jobs", "")).toBe("");
  });
});
