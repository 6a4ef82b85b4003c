import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Shares } from "../db/shares.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SigningAlgorithm, SigningKeyState } from "../gen/easycron/v1/signing_key_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { pause } from "../mesh/pause.ts";
import { requireRequest } from "./require-request.ts";
import { createSigningKey, revokeSigningKey, rotateSigningKey } from "./signing-keys/change-keys.ts";
import { listSigningKeys } from "./signing-keys/list-keys.ts";
import type { MasterKeys } from "./signing-keys/master-keys.ts";
import type { SigningKeyRow } from "./signing-keys/signing-keys.sql.ts";
import type { Algorithm } from "./signing-keys/signing-secret.ts";

/** What the handlers of signing keys need. */
export interface SigningKeyParts {
  /** For calls of customers. */
  readonly apiDatabase: Shares;
  readonly masterKeys: MasterKeys;
  readonly clock: Clock;
}

const DEFAULT_OVERLAP_MS = 86_400_000;

/** Makes the gRPC handlers of signing keys. */
export function createSigningKeyHandlers({
  apiDatabase,
  masterKeys,
  clock,
}: SigningKeyParts): Pick<
  ServiceImplementation<typeof DispatcherService>,
  "createSigningKey" | "listSigningKeys" | "rotateSigningKey" | "revokeSigningKey"
> {
  const partsOf = (projectId: string, signal: AbortSignal) => ({
    database: apiDatabase.of(projectId, signal),
    masterKeys,
    clock,
    pause,
  });
  const toSigningKey = (row: SigningKeyRow) => toMessage(row, clock.now());
  return {
    createSigningKey: async ({ projectId, request }, { signal }) => {
      const algorithm = toAlgorithm(requireRequest(request).algorithm);
      const { key, secret } = await createSigningKey(partsOf(projectId, signal), projectId, algorithm);
      return { response: { signingKey: toSigningKey(key), secret } };
    },
    listSigningKeys: async ({ projectId, request }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      const { keys, nextPageToken } = await listSigningKeys(database, projectId, requireRequest(request));
      return { response: { signingKeys: keys.map(toSigningKey), nextPageToken } };
    },
    rotateSigningKey: async ({ projectId, request }, { signal }) => {
      const { id, overlap } = requireRequest(request);
      const rotation = { id, overlapMs: overlap === undefined ? DEFAULT_OVERLAP_MS : durationMs(overlap) };
      const { key, secret, old } = await rotateSigningKey(partsOf(projectId, signal), projectId, rotation);
      const response = { signingKey: toSigningKey(key), secret, oldSigningKey: toSigningKey(old) };
      return { response };
    },
    revokeSigningKey: async ({ projectId, request }, { signal }) => {
      const key = await revokeSigningKey(partsOf(projectId, signal), projectId, requireRequest(request).id);
      return { response: { signingKey: toSigningKey(key) } };
    },
  };
}

function toAlgorithm(algorithm: SigningAlgorithm): Algorithm {
  return algorithm === SigningAlgorithm.ED25519 ? "ED25519" : "HMAC_SHA256";
}

function toMessage(row: SigningKeyRow, nowMs: number) {
  const { id, algorithm, public_key, create_time, expire_time, revoke_time } = row;
  return {
    id,
    algorithm: SigningAlgorithm[algorithm],
    publicKey: public_key ?? "",
    state: toState(row, nowMs),
    createTime: timestampFromMs(create_time),
    ...(expire_time === null ? {} : { expireTime: timestampFromMs(expire_time) }),
    ...(revoke_time === null ? {} : { revokeTime: timestampFromMs(revoke_time) }),
  };
}

function toState({ expire_time, revoke_time }: SigningKeyRow, nowMs: number): SigningKeyState {
  if (revoke_time !== null) return SigningKeyState.REVOKED;
  return expire_time !== null && expire_time <= nowMs ? SigningKeyState.EXPIRED : SigningKeyState.ACTIVE;
}
