import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";

/**
 * Converts any JSON value to the type of `job.payload`: `payload: toPayload({ company: 42 })`. Throws a RangeError for a
 * number that cannot be sent so that it arrives as it is: NaN, an infinite number, and a whole number beyond 2^53,
 * which JavaScript may have rounded already. Its path is in the message. Send such a number as a text.
 */
export function toPayload(json: JsonValue): Value {
  checkNumbers(json, "payload");
  return fromJson(ValueSchema, json);
}

function checkNumbers(json: JsonValue, path: string): void {
  if (typeof json === "number") {
    if (Number.isFinite(json) && (!Number.isInteger(json) || Number.isSafeInteger(json))) return;
    throw new RangeError(`${path} is ${json}, a number that cannot be kept; send it as a text.`);
  }
  if (Array.isArray(json)) {
    for (const [index, item] of json.entries()) checkNumbers(item, `${path}[${index}]`);
  } else if (typeof json === "object" && json !== null) {
    for (const [key, item] of Object.entries(json)) checkNumbers(item, `${path}.${key}`);
  }
}
