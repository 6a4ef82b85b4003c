import { parseArgs } from "node:util";

/** Options of a benchmark by name: a number, or a list of numbers. */
export type Options = Readonly<Record<string, number | readonly number[]>>;

/**
 * Reads options from the command line, such as `--jobs 200 --ladder 1000,2000`. Options that are not given have their
 * defaults. Throws an error that names every wrong option and what it must be.
 */
export function readOptions(defaults: Options, args: readonly string[]): Options {
  const known = Object.keys(defaults);
  const spec = Object.fromEntries(known.map((name) => [name, { type: "string" as const }]));
  let values: Partial<Record<string, string | boolean>>;
  try {
    values = parseArgs({ args: [...args], options: spec }).values;
  } catch (error) {
    const names = known.map((name) => `--${name}`).join(", ") || "none";
    throw new Error(`${error instanceof Error ? error.message : error} The options are: ${names}.`);
  }
  const problems: string[] = [];
  const options = known.map((name): [string, number | readonly number[]] => {
    const fallback = defaults[name] ?? 0;
    const text = values[name];
    if (typeof text !== "string") return [name, fallback];
    const isList = typeof fallback !== "number";
    const numbers = text.split(",").map((part) => (/^\d+$/.test(part) ? Number(part) : Number.NaN));
    const isWrong = numbers.some(Number.isNaN) || (!isList && numbers.length !== 1);
    if (isWrong)
      problems.push(
        `--${name} is "${text}"; it must be ${isList ? "whole numbers, separated by commas" : "a whole number"}.`,
      );
    return [name, isList ? numbers : (numbers[0] ?? 0)];
  });
  if (problems.length > 0) throw new Error(problems.join(" "));
  return Object.fromEntries(options);
}

/** Returns an option that is a number. */
export function number(options: Options, name: string): number {
  const value = options[name];
  if (typeof value !== "number") throw new Error(`There is no option --${name} with a number.`);
  return value;
}

/** Returns an option that is a list of numbers. */
export function numbers(options: Options, name: string): readonly number[] {
  const value = options[name];
  if (value === undefined || typeof value === "number")
    throw new Error(`There is no option --${name} with a list of numbers.`);
  return value;
}
