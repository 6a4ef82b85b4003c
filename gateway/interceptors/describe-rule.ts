import { type DescField, getOption } from "@bufbuild/protobuf";
import { type Path, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { FieldRulesSchema, field as rulesOption } from "../../gen/buf/validate/validate_pb.ts";

/**
 * What each pattern of the protos means, to follow "Must". A customer reads these words and never the
 * regular expression. A test checks that every pattern of the public API has its words.
 */
export const PATTERN_WORDS: Readonly<Record<string, string>> = {
  "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$":
    "be 1 to 63 characters: lower-case letters, digits, `.` `_` `-`; the first and the last a letter or digit",
  "^[\\x21-\\x7e]{0,128}$": "be at most 128 printable ASCII characters, without spaces",
  "^trg_[0-9a-hjkmnp-tv-z]{26}$":
    'be a trigger id: "trg_" and 26 characters, digits and lower-case letters without i, l, o, u',
  "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$":
    "be a header name: 1 to 128 characters, letters, digits and any of ! # $ % & ' * + . ^ _ ` | ~ -",
  "^[\\t\\x20-\\x7e]*$": "consist of printable ASCII characters, spaces and tabs",
  "^[\\x20-\\x7e]*$": "consist of printable ASCII characters",
  "^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,256}$":
    "be 1 to 256 printable ASCII characters without spaces, double quotes and backslashes",
  "^[^\\x00]*$": "not contain the character U+0000",
  "^[\\x21-\\x7e]*$": "consist of printable ASCII characters, without spaces",
  "^[^\\x00-\\x1f\\x7f:]*$": "not contain a colon or a control character",
  "^([A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( ?;[\\x20-\\x7e]*)?)?$":
    "be a media type, such as text/plain; charset=utf-8",
  "^[^\\x00-\\x1f\\x7f]*$": "not contain a control character",
  "^[a-zA-Z0-9._-]+$": "consist of letters, digits, `.` `_` `-`",
  "^[a-zA-Z0-9._-]{1,200}$": "be 1 to 200 characters: letters, digits, `.` `_` `-`",
  "^[A-Za-z0-9._/:-]{1,200}$": "be 1 to 200 characters: letters, digits, `.` `_` `-` `:` `/`",
  "^[2-5][0-9]{2}(-[2-5][0-9]{2})?$":
    'be an HTTP status from 200 to 599, or a range of them such as "200-299"',
  "^[A-Za-z0-9._-]{1,128}$": "be 1 to 128 characters: letters, digits, `.` `_` `-`",
};

/**
 * Says in words what a broken rule asks for, such as "Must be from 1 to 500". `field` carries the rule, and `path`
 * leads from its options to the rule, as protovalidate reports it. Undefined for a rule that has no words here.
 */
export function describeRule(ruleId: string, field: DescField, path: Path): string | undefined {
  const rules = findRules(field, path);
  if (rules === undefined) return undefined;
  const bound = (name: string) => boundOf(rules, name);
  switch (ruleId.slice(ruleId.indexOf(".") + 1)) {
    case "pattern":
      return `Must ${PATTERN_WORDS[bound("pattern")] ?? "have another form"}`;
    case "min_len":
      return bound("min_len") === "1"
        ? "Must not be empty"
        : `Must have at least ${bound("min_len")} characters`;
    case "max_len":
      return `Must have at most ${bound("max_len")} characters`;
    case "max_bytes":
      return `Must have at most ${bound("max_bytes")} bytes`;
    case "in":
      return `Must be one of ${bound("in")}`;
    case "not_in":
      return "Must be given";
    case "gte":
      return `Must be at least ${bound("gte")}`;
    case "gte_lte":
      return `Must be from ${bound("gte")} to ${bound("lte")}`;
    case "min_items":
      return bound("min_items") === "1"
        ? "Must not be empty"
        : `Must have at least ${bound("min_items")} items`;
    case "max_items":
      return `Must have at most ${bound("max_items")} items`;
    case "unique":
      return "Must not have the same item twice";
    case "min_pairs":
      return bound("min_pairs") === "1"
        ? "Must not be empty"
        : `Must have at least ${bound("min_pairs")} entries`;
    case "max_pairs":
      return `Must have at most ${bound("max_pairs")} entries`;
    default:
      return undefined;
  }
}

/** Returns the message that holds the rule, such as StringRules. */
function findRules(field: DescField, path: Path): ReflectMessage | undefined {
  let rules = reflect(FieldRulesSchema, getOption(field, rulesOption)) as ReflectMessage;
  for (const part of path.slice(0, -1)) {
    const next = part.kind === "field" ? fieldOf(rules, part.name) : undefined;
    if (next?.fieldKind !== "message") return undefined;
    rules = rules.get(next) as ReflectMessage;
  }
  return rules;
}

function fieldOf({ desc }: ReflectMessage, name: string): DescField | undefined {
  return desc.fields.find((field) => field.name === name);
}

function boundOf(rules: ReflectMessage, name: string): string {
  const field = fieldOf(rules, name);
  if (field === undefined) return "";
  if (field.fieldKind === "list") {
    // An empty text stands for the default, so it is accepted too. Nobody needs to be told to write it.
    return [...rules.get(field)].filter((value) => value !== "").join(", ");
  }
  if (field.fieldKind === "message") return `${(rules.get(field).message as Duration).seconds}s`;
  return `${rules.get(field)}`;
}
