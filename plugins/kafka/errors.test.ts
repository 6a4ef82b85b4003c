import kafkajs from "kafkajs";
import { expect, test } from "vitest";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { classify } from "./errors.ts";

const { NOT_SENT, UNKNOWN, REJECTED } = AttemptOutcome;

/** As kafkajs makes it: an error with a type, wrapped when no retries are left. */
function refusal(type: string): Error {
  const error = new kafkajs.KafkaJSProtocolError(new Error(type));
  return new kafkajs.KafkaJSNumberOfRetriesExceeded(Object.assign(error, { type }), {
    retryCount: 0,
    retryTime: 0,
  });
}
const closed = new kafkajs.KafkaJSConnectionError("Connection error", { broker: "b:1", code: "ECONNRESET" });
// The types of kafkajs leave out the parameter of this constructor.
const login: Error = Reflect.construct(kafkajs.KafkaJSSASLAuthenticationError, ["wrong password"]);

test.each([
  ["a message that is too large", refusal("MESSAGE_TOO_LARGE"), true, REJECTED, true],
  ["a partition without a leader", refusal("LEADER_NOT_AVAILABLE"), true, REJECTED, false],
  ["too few copies", refusal("NOT_ENOUGH_REPLICAS"), true, REJECTED, false],
  ["too few copies after it was stored", refusal("NOT_ENOUGH_REPLICAS_AFTER_APPEND"), true, UNKNOWN, false],
  ["a broker that timed out", refusal("REQUEST_TIMED_OUT"), true, UNKNOWN, false],
  ["a refusal that nobody knows", refusal("SOMETHING_NEW"), true, UNKNOWN, false],
  ["a connection that broke after the send", closed, true, UNKNOWN, false],
  ["a connection that broke before the send", closed, false, NOT_SENT, false],
  ["a login that failed", login, false, NOT_SENT, false],
])("the outcome is right for %s", (_, error, wasWritten, outcome, isFinal) => {
  expect(classify(error, wasWritten)).toMatchObject({ outcome, isFinal });
});
