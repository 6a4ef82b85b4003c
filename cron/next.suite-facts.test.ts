import { expect, test } from "vitest";
import { parseCron } from "./expression.ts";
import { nextFireTime } from "./next.ts";
import { SUITE_FACTS } from "./testing/suite-facts.ts";

test.each(SUITE_FACTS)(
  "nextFireTime agrees with %s: %s in %s after %s fires at %s",
  (_suite, expression, zone, after, expected) => {
    const dialect = expression.split(" ").length === 6 ? "WITH_SECONDS" : "STANDARD";
    const next = nextFireTime(parseCron(expression, { dialect }), zone, Date.parse(after));
    expect(next).toBe(expected === null ? null : Date.parse(expected));
  },
);
