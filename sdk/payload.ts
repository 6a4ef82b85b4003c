import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";

/** Converts any JSON value to the type of `job.payload`: `payload: toPayload({ company: 42 })`. */
export function toPayload(json: JsonValue): Value {
  return fromJson(ValueSchema, json);
}
