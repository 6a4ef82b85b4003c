import { createHash, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CredentialSchema } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import type { KindName } from "./kinds.ts";

const PASSWORD_BYTES = 32;
const SALT_BYTES = 32;
// The least that RFC 5802 allows and Kafka accepts. The password has 256 random bits, so more would gain nothing.
const ITERATIONS = 4_096;
const SCRAM_BYTES = 64;

/** New credentials. The password is in this object only, and in the answer of the call that made it. */
export interface NewCredential {
  readonly number: number;
  readonly username: string;
  readonly password: string;
  /** What the database keeps: the hash for Redis, nothing for Kafka. */
  readonly sha256: Buffer | null;
  /** What the broker is to check the password by. */
  readonly sent: MessageInitShape<typeof CredentialSchema>;
}

/**
 * Makes credentials of a project with this number: a random password of 32 bytes, and what the broker needs to check it.
 * For Kafka that is SCRAM-SHA-512. Source: RFC 5802, section 3.
 */
export async function makeCredential(
  kind: KindName,
  projectId: string,
  number: number,
): Promise<NewCredential> {
  const username = `${projectId}-${number}`;
  const password = randomBytes(PASSWORD_BYTES).toString("base64url");
  if (kind === "REDIS") {
    const sha256 = createHash("sha256").update(password).digest();
    return { number, username, password, sha256, sent: { username, passwordSha256: sha256 } };
  }
  const salt = randomBytes(SALT_BYTES);
  const saltedPassword = await promisify(pbkdf2)(password, salt, ITERATIONS, SCRAM_BYTES, "sha512");
  const scram = { salt, iterations: ITERATIONS, saltedPassword };
  return { number, username, password, sha256: null, sent: { username, scram } };
}

/** Returns what clients connect with. */
export function toUrl(
  kind: KindName,
  { username, password }: Pick<NewCredential, "username" | "password">,
  { endpoint, usesTls }: { readonly endpoint: string; readonly usesTls: boolean },
): string {
  if (kind === "KAFKA") return endpoint;
  return `${usesTls ? "rediss" : "redis"}://${username}:${password}@${endpoint}`;
}
