import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { JsonPath } from "../../mesh/json-text.ts";
import { printable } from "../../mesh/printable.ts";

/** A place in a request's JSON. */
export interface FieldPlace {
  /** The path as sent: `job.labels["team"]`, `job.payload.items[3].id`. Cut to 100 characters. */
  readonly field: string;
  /** Whether it is a google.protobuf.Value, which is any JSON, or is in one. */
  readonly isInPayload: boolean;
  /** Whether it is a google.protobuf.Value itself. */
  readonly isPayload: boolean;
  /** The field that the place is, or in which it is; undefined for an unknown one. */
  readonly desc: DescField | undefined;
}

/** A path that is longer is cut: it leads far into a payload. */
const MAX_PARTS = 64;

/** Describes a place in the JSON of a message. */
export function describePlace(schema: DescMessage, path: JsonPath): FieldPlace {
  let message: DescMessage | undefined = schema;
  let desc: DescField | undefined;
  let text = "";
  let isInMap = false;
  let isPayload = false;
  for (const part of path.slice(0, MAX_PARTS)) {
    if (typeof part === "number") {
      text += `[${part}]`;
      isPayload = false;
    } else if (isInMap) {
      text += `[${JSON.stringify(part)}]`;
      isInMap = false;
    } else {
      text += text === "" ? part : `.${part}`;
      isPayload = false;
      if (message === undefined) continue;
      desc = message.fields.find(({ name, jsonName }) => part === name || part === jsonName);
      isInMap = desc?.fieldKind === "map";
      isPayload = isJson(desc);
      message = isPayload ? undefined : desc?.message;
    }
  }
  return {
    field: printable(text),
    isInPayload: isJson(desc),
    isPayload: isPayload && path.length <= MAX_PARTS,
    desc,
  };
}

function isJson(field: DescField | undefined): boolean {
  return field?.message?.typeName === "google.protobuf.Value";
}
