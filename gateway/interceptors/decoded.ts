import type { Interceptor, UnaryRequest } from "@connectrpc/connect";
import { takeDecodedRequest } from "../edge/request-text.ts";

/**
 * Gives a unary call the message that `checkingDecoder` has decoded, in place of the empty one that connect has. It must
 * come before every interceptor that reads the message.
 */
export const decodedInterceptor: Interceptor = (next) => (request) => {
  const message = request.stream ? undefined : takeDecodedRequest();
  return next(message === undefined ? request : ({ ...request, message } as UnaryRequest));
};
