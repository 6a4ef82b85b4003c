import { checkLength } from "../receiver/body.ts";
import type { Receiver } from "../receiver/create-receiver.ts";

/** What is used of an event of API Gateway's HTTP APIs (payload format 2.0) and of function URLs. */
export interface LambdaEvent {
  readonly headers: { readonly [name: string]: string | undefined };
  readonly body?: string | undefined;
  readonly isBase64Encoded: boolean;
  readonly requestContext: { readonly http: { readonly method: string } };
}

/** The answer of a Lambda function. */
export interface LambdaResult {
  readonly statusCode: number;
  readonly headers: { [name: string]: string };
  readonly body: string;
}

/**
 * Makes the handler of a Lambda function: `export const handler = toLambda(receiver);`
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ secrets: process.env.EASYCRON_SIGNING_SECRET, onTrigger: () => {} });
 * export const handler = toLambda(receiver);
 * ```
 */
export function toLambda(receiver: Receiver): (event: LambdaEvent) => Promise<LambdaResult> {
  return async ({ headers: given, body: sent = "", isBase64Encoded, requestContext }) => {
    const toBody = () => (isBase64Encoded ? Uint8Array.from(atob(sent), (each) => each.charCodeAt(0)) : sent);
    const { status, headers, body } = await receiver.receive({
      method: requestContext.http.method,
      headers: given,
      readBody: async (limits) => checkLength(toBody(), limits),
    });
    return { statusCode: status, headers: { ...headers }, body };
  };
}
