import pg from "pg";
import { expect, test } from "vitest";
import { failure } from "../mesh/errors.ts";
import { isItemFault } from "./item-fault.ts";

function errorOf(code: string): Error {
  const error = new pg.DatabaseError("problem", 0, "error");
  error.code = code;
  return error;
}

test("an error is the fault of an item when it concerns a value or a row, not the statement or the database", () => {
  const codes = ["22P02", "22P05", "23514", "54000", "P0001", "XX001", "42703", "42501", "0A000"];
  expect(codes.filter((code) => isItemFault(errorOf(code)))).toEqual(codes.slice(0, 6));
  const all = [
    failure("SERVICE_UNAVAILABLE", { service: "database" }),
    failure("TOO_MANY_CALLS"),
    failure("CANCELLED"),
    failure("DEADLINE_EXCEEDED"),
  ];
  expect(all.filter(isItemFault)).toEqual([]);
  expect(isItemFault(failure("JOB_NOT_FOUND", { job: "a" }))).toBe(true);
  expect(isItemFault(new TypeError("a bug of ours"))).toBe(true);
});
