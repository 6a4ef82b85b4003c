import { type Caller, type Options, required } from "../caller.ts";
import {
  ApiKeyService,
  type CreateApiKeyRequestSchema,
  type ListApiKeysRequestSchema,
  type RevokeApiKeyRequestSchema,
  type RotateApiKeyRequestSchema,
} from "../gen/easycron/v1/api_key_service_pb.ts";
import {
  type CreateSigningKeyRequestSchema,
  type ListSigningKeysRequestSchema,
  type RevokeSigningKeyRequestSchema,
  type RotateSigningKeyRequestSchema,
  SigningKeyService,
} from "../gen/easycron/v1/signing_key_service_pb.ts";
import { createList } from "../list.ts";
import type { ApiKey, SigningKey } from "../resources.ts";

/** Makes the methods of signing keys. */
export function createSigningKeys(caller: Caller) {
  const { method } = SigningKeyService;
  return {
    /**
     * Creates a signing key: `signingKeys.create()` with a shared secret, which only this answer has, or
     * `signingKeys.create({ algorithm: "ED25519" })` with a public key. Takes about a second.
     *
     * @example
     * ```ts
     * const { signingKey, secret } = await easycron.signingKeys.create();
     * console.log(signingKey.id, secret.slice(0, 6));
     * ```
     */
    create: async (
      options: Options<typeof CreateSigningKeyRequestSchema> = {},
    ): Promise<{ signingKey: SigningKey; secret: string }> => {
      const { signingKey, ...rest } = await caller.call(method.createSigningKey, options);
      return { ...rest, signingKey: required(signingKey, "signing key") };
    },

    /**
     * Lists the project's signing keys, newest first, also those that are revoked or have expired.
     *
     * @example
     * ```ts
     * for await (const { id, algorithm, state } of easycron.signingKeys.list()) console.log(id, algorithm, state);
     * ```
     */
    list: (options: Options<typeof ListSigningKeysRequestSchema> = {}) =>
      createList(caller, method.listSigningKeys, options, (page): readonly SigningKey[] => page.signingKeys),

    /**
     * Replaces a signing key by a new one. The old key signs, too, until the overlap ends. Only this answer has the secret.
     * Takes about a second.
     *
     * @example
     * ```ts
     * const { signingKey, secret } = await easycron.signingKeys.rotate("sk_01jd3k8z5me9t8r7q6p5n4m3k2", { overlap: "3600s" });
     * console.log(signingKey.id, secret.slice(0, 6));
     * ```
     */
    rotate: async (
      id: string,
      options: Options<typeof RotateSigningKeyRequestSchema, "id"> = {},
    ): Promise<{ signingKey: SigningKey; secret: string; oldSigningKey?: SigningKey | undefined }> => {
      const { signingKey, ...rest } = await caller.call(method.rotateSigningKey, { ...options, id });
      return { ...rest, signingKey: required(signingKey, "signing key") };
    },

    /**
     * Revokes a signing key. Nothing is signed with it any more when this returns. Takes about a second.
     *
     * @example
     * ```ts
     * await easycron.signingKeys.revoke("sk_01jd3k8z5me9t8r7q6p5n4m3k2");
     * ```
     */
    revoke: async (
      id: string,
      options: Options<typeof RevokeSigningKeyRequestSchema, "id"> = {},
    ): Promise<SigningKey> => {
      const { signingKey } = await caller.call(method.revokeSigningKey, { ...options, id });
      return required(signingKey, "signing key");
    },
  };
}

/** Makes the methods of API keys, which need the operator's key. */
export function createApiKeys(caller: Caller) {
  const { method } = ApiKeyService;
  return {
    /**
     * Creates an API key: `apiKeys.create({ project, apiKey: { displayName: "ci" } })`. Only this answer has the secret.
     *
     * @example
     * ```ts
     * const project = "proj_01jd3k8z5me9t8r7q6p5n4m3k2";
     * const { apiKey } = await easycron.apiKeys.create({ project, apiKey: { displayName: "ci" } });
     * console.log(apiKey.id);
     * ```
     */
    create: async (
      request: Options<typeof CreateApiKeyRequestSchema> & { readonly project: string },
    ): Promise<{ apiKey: ApiKey; secret: string }> => {
      const { apiKey, ...rest } = await caller.call(method.createApiKey, request);
      return { ...rest, apiKey: required(apiKey, "API key") };
    },

    /**
     * Lists a project's API keys, newest first: `apiKeys.list({ project })`.
     *
     * @example
     * ```ts
     * const project = "proj_01jd3k8z5me9t8r7q6p5n4m3k2";
     * for await (const { id, displayName } of easycron.apiKeys.list({ project })) console.log(id, displayName);
     * ```
     */
    list: (request: Options<typeof ListApiKeysRequestSchema> & { readonly project: string }) =>
      createList(caller, method.listApiKeys, request, (page): readonly ApiKey[] => page.apiKeys),

    /**
     * Replaces an API key by a new one. The old key is valid until the overlap ends.
     *
     * @example
     * ```ts
     * const { apiKey } = await easycron.apiKeys.rotate("key_01jd3k8z5me9t8r7q6p5n4m3k2", { overlap: "3600s" });
     * console.log(apiKey.id);
     * ```
     */
    rotate: async (
      id: string,
      options: Options<typeof RotateApiKeyRequestSchema, "id"> = {},
    ): Promise<{ apiKey: ApiKey; secret: string; oldApiKey?: ApiKey | undefined }> => {
      const { apiKey, ...rest } = await caller.call(method.rotateApiKey, { ...options, id });
      return { ...rest, apiKey: required(apiKey, "API key") };
    },

    /**
     * Revokes an API key.
     *
     * @example
     * ```ts
     * await easycron.apiKeys.revoke("key_01jd3k8z5me9t8r7q6p5n4m3k2");
     * ```
     */
    revoke: async (
      id: string,
      options: Options<typeof RevokeApiKeyRequestSchema, "id"> = {},
    ): Promise<ApiKey> => {
      const { apiKey } = await caller.call(method.revokeApiKey, { ...options, id });
      return required(apiKey, "API key");
    },
  };
}
