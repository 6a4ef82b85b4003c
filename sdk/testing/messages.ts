import { createHmac } from "node:crypto";
import { triggerId } from "../trigger-id.ts";

/** The secret with which `messageParts` signs. */
export const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** What a plugin writes for one trigger, before it is put into the form of a broker. */
export interface MessageParts {
  /** The CloudEvents attributes. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly timestamp: string;
  readonly signature: string;
  /** The document, which the signature covers. */
  readonly data: string;
}

/** Makes the parts of the message of a job's nth trigger. `payload` is JSON text. */
export function messageParts(seq: number, payload = '{"company":42}'): MessageParts {
  const nominalTime = new Date(Date.UTC(2026, 2, 1, 9, 0, seq)).toISOString();
  const id = triggerId({ jobUid: "job_1", nominalTime });
  const job = { name: "payroll", uid: "job_1", revision: 3 };
  const times = { nominalTime, effectiveTime: nominalTime, previousNominalTime: null, nextNominalTime: null };
  const data = { trigger: id, kind: "SCHEDULED", project: "proj_a", job, ...times, seq, attempt: 1 };
  return sign(
    { id, nominalTime },
    `{"type":"trigger.fired","timestamp":"${nominalTime}","data":${JSON.stringify(data).slice(0, -1)},"payload":${payload}}}`,
  );
}

/** Signs a document as the document of a trigger. */
export function sign(
  { id, nominalTime }: { readonly id: string; readonly nominalTime: string },
  data: string,
): MessageParts {
  const timestamp = "1772355600";
  const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.${data}`).digest("base64");
  const attributes = {
    specversion: "1.0",
    id,
    source: "//easycron/proj_a",
    type: "easycron.trigger.fired",
    time: nominalTime,
    subject: "payroll",
  };
  return { attributes, timestamp, signature: `v1,${mac}`, data };
}

/** The names and values of a stream's entry, in turn. */
export function toFields({ attributes, timestamp, signature, data }: MessageParts): string[] {
  const fields = {
    ...attributes,
    datacontenttype: "application/json",
    data,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  };
  return Object.entries(fields).flat();
}

/** A message of Kafka in CloudEvents' binary mode, as kafkajs returns it. */
export function toBinary({ attributes, timestamp, signature, data }: MessageParts) {
  const named = Object.entries(attributes).map(([name, value]) => [`ce_${name}`, value]);
  const headers = {
    ...Object.fromEntries(named),
    "content-type": "application/json",
    ...signatureHeaders({ attributes, timestamp, signature, data }),
  };
  return { value: Buffer.from(data), headers: asBytes(headers) };
}

/** The same in structured mode. `members` are further members of the value. */
export function toStructured(parts: MessageParts, members: Readonly<Record<string, string>> = {}) {
  const head = JSON.stringify({ ...parts.attributes, datacontenttype: "application/json", ...members });
  const headers = { "content-type": "application/cloudevents+json", ...signatureHeaders(parts) };
  return { value: Buffer.from(`${head.slice(0, -1)},"data":${parts.data}}`), headers: asBytes(headers) };
}

function signatureHeaders({ attributes, timestamp, signature }: MessageParts): Record<string, string> {
  const { id = "" } = attributes;
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
}

function asBytes(headers: Readonly<Record<string, string>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));
}
