import type { Message } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";

/** The fields of a message in their order, each with its value if that is always the same. */
const FIELDS: readonly (readonly [name: string, value?: string])[] = [
  ["specversion", "1.0"],
  ["id"],
  ["source"],
  ["type", "easycron.trigger.fired"],
  ["time"],
  ["subject"],
  ["datacontenttype", "application/json"],
  ["data"],
  ["webhook-timestamp"],
  ["webhook-signature"],
];

/** How many fields have a value that differs between messages. */
export const VARIABLE_FIELDS = FIELDS.filter(([, value]) => value === undefined).length;

/**
 * Returns the values of the fields that differ between messages, in their order: attributes of CloudEvents 1.0, the
 * document as `data`, and the headers of Standard Webhooks that its signature needs. `data` is the text that was signed,
 * so it must not be parsed and written again.
 */
export function toValues(projectId: string, message: Message): string[] {
  return [
    message.triggerId,
    `//easycron/${projectId}`,
    message.fireTime,
    message.jobName,
    Buffer.from(message.body.buffer, message.body.byteOffset, message.body.length).toString("utf8"),
    String(message.webhookTimestamp),
    message.webhookSignature,
  ];
}

/** Returns all fields of a message in their order, each name before its value. */
export function toFields(projectId: string, message: Message): string[] {
  const values = toValues(projectId, message).values();
  return FIELDS.flatMap(([name, value]) => [name, value ?? values.next().value ?? ""]);
}

/**
 * Returns the fields as arguments of a call in Lua. The values of `toValues` are the arguments of the script after the
 * place `at`. So the names and the values that are always the same are sent once, with the script.
 */
export function fieldsInLua(at: string): string {
  let index = 0;
  const words = FIELDS.flatMap(([name, value]) => [
    `'${name}'`,
    value === undefined ? `ARGV[${at} + ${++index}]` : `'${value}'`,
  ]);
  return words.join(", ");
}

/** Returns a message as one JSON object. Its members are the fields of a stream's entry; all are strings. */
export function toJsonText(projectId: string, message: Message): string {
  const fields = toFields(projectId, message);
  const pairs = fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1]]] : []));
  return JSON.stringify(Object.fromEntries(pairs));
}
