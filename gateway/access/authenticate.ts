import { timingSafeEqual } from "node:crypto";
import type { HandlerContext } from "@connectrpc/connect";
import type { Database } from "../../db/pool.ts";
import { ApiKeyService } from "../../gen/easycron/v1/api_key_service_pb.ts";
import { ProjectService } from "../../gen/easycron/v1/project_service_pb.ts";
import { SystemService } from "../../gen/easycron/v1/system_service_pb.ts";
import { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { type EasyCronError, failure } from "../../mesh/errors.ts";
import { describeEnd } from "./api-key-end.ts";
import { hashSecret } from "./api-key-secret.ts";
import { apiKeyByHash, type KnownKeyRow } from "./api-keys.sql.ts";
import type { Caller } from "./caller.ts";
import type { KeyUses } from "./key-uses.ts";

/** What authentication needs. */
export interface AuthenticateParts {
  readonly database: Database;
  /** The SHA-256 of the operator's key. */
  readonly operatorKeyHash: Buffer;
  /** Gets the id of each API key that is accepted, unless a use within the last minutes is written. */
  readonly uses: KeyUses;
}

const OPEN_TO_ALL: readonly string[] = [Health.typeName, ServerReflection.typeName];
/** What a call of this method needs is in its request: the token of an attempt. The dispatcher checks it. */
const OPEN_METHOD = {
  service: TriggerService.typeName,
  method: TriggerService.method.acknowledgeTrigger.name,
};
const FOR_THE_OPERATOR: readonly string[] = [ProjectService.typeName, ApiKeyService.typeName];
/** Methods of these services that a project calls for itself. */
const FOR_THE_PROJECT: readonly string[] = [
  `${ProjectService.typeName}/${ProjectService.method.getProject.name}`,
  `${ProjectService.typeName}/${ProjectService.method.updateProject.name}`,
];
const FOR_EVERY_KEY: readonly string[] = [SystemService.typeName];
const MAX_SECRET_LENGTH = 256;

/**
 * Identifies the caller from the header `Authorization: Bearer <API key>`, and checks that the key may call the
 * service.
 *
 * - Health checks and reflection need no key, and neither does AcknowledgeTrigger.
 * - SystemService accepts any valid key.
 * - ProjectService and ApiKeyService accept the operator's key only, but for GetProject and UpdateProject.
 * - All other services accept a project's key only.
 *
 * Nothing is cached: a key that is revoked, or that expires, is refused from that moment on by every gateway.
 *
 * Throws API_KEY_MISSING, API_KEY_INVALID, OPERATOR_KEY_REQUIRED, PROJECT_KEY_REQUIRED, or SERVICE_UNAVAILABLE when
 * the database does not answer.
 */
export async function authenticate(
  parts: AuthenticateParts,
  call: Pick<HandlerContext, "service" | "method" | "requestHeader">,
): Promise<Caller> {
  if (isOpen(call)) return { kind: "nobody" };
  const caller = await findCaller(parts, readSecret(call.requestHeader.get("authorization")));
  if (FOR_EVERY_KEY.includes(call.service.typeName)) return caller;
  const method = `${call.service.typeName}/${call.method.name}`;
  const isForOperator = FOR_THE_OPERATOR.includes(call.service.typeName) && !FOR_THE_PROJECT.includes(method);
  if (isForOperator && caller.kind !== "operator") throw failure("OPERATOR_KEY_REQUIRED", { method });
  if (!isForOperator && caller.kind === "operator") throw failure("PROJECT_KEY_REQUIRED", { method });
  return caller;
}

function isOpen({ service, method }: Pick<HandlerContext, "service" | "method">): boolean {
  if (OPEN_TO_ALL.includes(service.typeName)) return true;
  return service.typeName === OPEN_METHOD.service && method.name === OPEN_METHOD.method;
}

function readSecret(header: string | null): string {
  const secret = /^Bearer +([\x21-\x7e]+) *$/i.exec(header ?? "")?.[1];
  if (secret === undefined) throw failure("API_KEY_MISSING");
  if (secret.length > MAX_SECRET_LENGTH) throw keyUnknown();
  return secret;
}

async function findCaller(parts: AuthenticateParts, secret: string): Promise<Caller> {
  const hash = hashSecret(secret);
  if (timingSafeEqual(hash, parts.operatorKeyHash)) return { kind: "operator" };
  // The time of a lookup reveals something about the hash. That does not help an attacker, who would need its
  // preimage.
  const [row] = await parts.database.query(apiKeyByHash, [hash]);
  if (row === undefined || !timingSafeEqual(row.secret_hash, hash)) throw keyUnknown();
  refuseEnded(row);
  if (row.is_use_old) parts.uses.note(row.id);
  return { kind: "project", projectId: row.project_id, keyId: row.id };
}

function refuseEnded(row: KnownKeyRow): void {
  if (row.revoke_time === null && !row.has_expired) return;
  throw keyInvalid(`${row.id} ${describeEnd(row)} Use another key of the project.`);
}

function keyUnknown(): EasyCronError {
  return keyInvalid("there is no such key; check the secret in the Authorization header.");
}

function keyInvalid(problem: string): EasyCronError {
  return failure("API_KEY_INVALID", { problem });
}
