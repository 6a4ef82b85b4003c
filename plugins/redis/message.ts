import type { Message } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";

/**
 * Returns the fields of a message in their order, each name before its value. They are the attributes of CloudEvents 1.0,
 * the document as `data`, and the headers of Standard Webhooks that its signature needs. `data` is the text that was
 * signed, so it must not be parsed and written again.
 */
export function toFields(projectId: string, message: Message): string[] {
  return [
    ...["specversion", "1.0"],
    ...["id", message.triggerId],
    ...["source", `//easycron/${projectId}`],
    ...["type", "easycron.trigger.fired"],
    ...["time", message.fireTime],
    ...["subject", message.jobName],
    ...["datacontenttype", "application/json"],
    ...["data", Buffer.from(message.body).toString("utf8")],
    ...["webhook-timestamp", String(message.webhookTimestamp)],
    ...["webhook-signature", message.webhookSignature],
  ];
}

/** Returns a message as one JSON object. Its members are the fields of a stream's entry; all are strings. */
export function toJsonText(projectId: string, message: Message): string {
  const fields = toFields(projectId, message);
  const pairs = fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1]]] : []));
  return JSON.stringify(Object.fromEntries(pairs));
}
