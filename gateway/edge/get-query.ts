import { base64Decode } from "@bufbuild/protobuf/wire";
import { printable } from "../../mesh/printable.ts";
import type { Refusal } from "./plain-response.ts";

const ENCODINGS: readonly string[] = ["json", "proto"];
const EXAMPLE = "?encoding=json&message=%7B%7D for the request {}";

/**
 * Finds what is wrong with the query of a read by GET: both `encoding` and `message` are required. Source:
 * https://connectrpc.com/docs/protocol#unary-get-request. Connect itself would answer without words.
 */
export function findQueryProblem(url: string): Refusal | undefined {
  const query = new URLSearchParams(url.split("?").slice(1).join("?"));
  const missing = ["encoding", "message"].filter((name) => !query.has(name));
  if (missing.length > 0) {
    const names = missing.map((name) => `no "${name}"`).join(" and ");
    const message = `the query has ${names}; send both, such as ${EXAMPLE}, or send the request by POST.`;
    return { message, httpStatus: 400 };
  }
  const encoding = query.get("encoding") ?? "";
  if (!ENCODINGS.includes(encoding)) {
    const message = `The encoding "${printable(encoding)}" is not supported; use ${ENCODINGS.join(" or ")}.`;
    return { message, httpStatus: 415 };
  }
  if (query.get("base64") !== "1" || isBase64(query.get("message") ?? "")) return undefined;
  return {
    message: 'the "message" of the query is not base64; encode it, or leave "base64" out.',
    httpStatus: 400,
  };
}

function isBase64(text: string): boolean {
  try {
    base64Decode(text);
    return true;
  } catch {
    return false;
  }
}
