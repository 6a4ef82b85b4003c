import { type DescMessage, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { RunJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { compactJson, isKeptByDouble, scanJson } from "../../mesh/json-text.ts";
import { messagesIn } from "../edge/field-value.ts";
import { toPayloadText } from "../edge/payload-text.ts";
import { toRawJson } from "../edge/raw-json.ts";
import { isJsonRequest } from "../edge/request-text.ts";

/*
 * Inside, a payload is the JSON text that the customer sent, in `payload_json`. Outside, it is `payload`. This
 * interceptor moves it from one field to the other, in requests that have been checked and in answers.
 */

/** Sends payloads inwards as text, and shows them to the customer as the protocol of the call can show them. */
export const payloadInterceptor: Interceptor = (next) => async (request) => {
  if (!request.stream) eachHolder(request.method.input, request.message, toText);
  const response = await next(request);
  if (!response.stream) {
    const show = isJsonRequest() ? toRaw : toValue;
    eachHolder(response.method.output, response.message, show);
  }
  return response;
};

type Holder = Pick<Job, "payload" | "payloadJson">;

function toText(holder: Holder): void {
  const { payload, payloadJson } = holder;
  if (payloadJson !== undefined) holder.payloadJson = compactJson(payloadJson);
  else if (payload !== undefined) holder.payloadJson = toPayloadText(payload);
  delete holder.payload;
}

/** Shows the text itself in JSON. */
function toRaw(holder: Holder): void {
  if (holder.payloadJson === undefined) return;
  holder.payload = fromJson(ValueSchema, toRawJson(holder.payloadJson));
  delete holder.payloadJson;
}

/** Shows a value in a binary protocol, with the text beside it if the value does not have all digits. */
function toValue(holder: Holder): void {
  if (holder.payloadJson === undefined) return;
  holder.payload = fromJson(ValueSchema, JSON.parse(holder.payloadJson) as JsonValue);
  if (isKeptByValue(holder.payloadJson)) delete holder.payloadJson;
}

function isKeptByValue(json: string): boolean {
  // A number of at most 15 digits without an exponent is kept.
  if (!/[\d.]{16}|\d[eE]|-0/.test(json)) return true;
  let isKept = true;
  scanJson(json, {
    value: (_, start, end) => {
      if (/[-\d]/.test(json[start] ?? "")) isKept &&= isKeptByDouble(json.slice(start, end));
    },
  });
  return isKept;
}

const HOLDERS: readonly string[] = [JobSchema.typeName, RunJobRequestSchema.typeName];

function eachHolder(schema: DescMessage, message: Message, work: (holder: Holder) => void): void {
  if (HOLDERS.includes(schema.typeName)) {
    work(message as unknown as Holder);
    return;
  }
  for (const field of schema.fields) {
    if (field.message === undefined || !mayHold(field.message)) continue;
    for (const [, child] of messagesIn(message, field)) eachHolder(field.message, child, work);
  }
}

const known = new Map<DescMessage, boolean>();

/** Whether a payload may be in a message, however deep; found once for each type. */
function mayHold(schema: DescMessage): boolean {
  const before = known.get(schema);
  if (before !== undefined) return before;
  // While its own fields are looked at: a message that holds itself adds nothing.
  known.set(schema, false);
  const holds =
    HOLDERS.includes(schema.typeName) ||
    schema.fields.some(({ message }) => message !== undefined && mayHold(message));
  known.set(schema, holds);
  return holds;
}
