import type { APIGatewayProxyEventV2, APIGatewayProxyResultV2 } from "aws-lambda";
import { expect, test } from "vitest";
import { type AdapterRequest, describeAdapter, oddTrigger, quietReceiver } from "../testing/adapter-suite.ts";
import { toLambda } from "./lambda.ts";

/** An event as API Gateway makes it, with payload format 2.0. */
function toEvent(
  { method, headers, body }: AdapterRequest,
  isBase64Encoded: boolean,
): APIGatewayProxyEventV2 {
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: "/easycron",
    rawQueryString: "",
    headers: { ...headers, host: "example.execute-api.eu-central-1.amazonaws.com" },
    requestContext: {
      accountId: "123456789012",
      apiId: "api-id",
      domainName: "example.execute-api.eu-central-1.amazonaws.com",
      domainPrefix: "example",
      http: {
        method,
        path: "/easycron",
        protocol: "HTTP/1.1",
        sourceIp: "192.0.2.1",
        userAgent: "EasyCron/1",
      },
      requestId: "id",
      routeKey: "$default",
      stage: "$default",
      time: "12/Mar/2026:19:03:58 +0000",
      timeEpoch: 1773342238000,
    },
    isBase64Encoded,
    ...(body === undefined ? {} : { body: isBase64Encoded ? Buffer.from(body).toString("base64") : body }),
  };
}

function toResponse(result: APIGatewayProxyResultV2): Response {
  if (typeof result === "string") throw new Error("A text is no answer of the receiver.");
  const { statusCode, headers, body = "" } = result;
  const init = { status: statusCode ?? 0, headers: headers as Record<string, string> };
  return new Response(statusCode === 204 ? null : body, init);
}

test("an event of another format is refused with what to change", async () => {
  const event = { ...toEvent(oddTrigger(), false), requestContext: {} };
  await expect(toLambda(quietReceiver())(event as never)).rejects.toThrow("payload format 2.0");
});

for (const isBase64Encoded of [true, false]) {
  describeAdapter(
    `AWS Lambda, ${isBase64Encoded ? "bodies in base64" : "bodies as texts"}`,
    async (receiver) => {
      const handler = toLambda(receiver);
      return {
        call: async (request) => toResponse(await handler(toEvent(request, isBase64Encoded))),
        stop: async () => {},
      };
    },
  );
}

test("a body of Lambda that is not base64 although it says so gives an error, not a crash", async () => {
  const event = { ...toEvent(oddTrigger(), true), body: "%" };
  expect(await toLambda(quietReceiver())(event)).toMatchObject({ statusCode: 500 });
});
