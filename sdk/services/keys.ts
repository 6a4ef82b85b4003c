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
  SigningKeyService,
} from "../gen/easycron/v1/signing_key_service_pb.ts";
import { createList } from "../list.ts";
import type { ApiKey, SigningKey } from "../resources.ts";

/** Makes the methods of signing keys. */
export function createSigningKeys(caller: Caller) {
  return {
    /** Creates a signing key. Only this answer has the secret. */
    create: async (
      options: Options<typeof CreateSigningKeyRequestSchema> = {},
    ): Promise<{ signingKey: SigningKey; secret: string }> => {
      const { signingKey, ...rest } = await caller.call(SigningKeyService.method.createSigningKey, options);
      return { ...rest, signingKey: required(signingKey, "signing key") };
    },
  };
}

/** Makes the methods of API keys, which need the operator's key. */
export function createApiKeys(caller: Caller) {
  const { method } = ApiKeyService;
  return {
    /** Creates an API key: `apiKeys.create({ project, apiKey: { displayName: "ci" } })`. Only this answer has the secret. */
    create: async (
      request: Options<typeof CreateApiKeyRequestSchema> & { readonly project: string },
    ): Promise<{ apiKey: ApiKey; secret: string }> => {
      const { apiKey, ...rest } = await caller.call(method.createApiKey, request);
      return { ...rest, apiKey: required(apiKey, "API key") };
    },

    /** Lists a project's API keys, newest first: `apiKeys.list({ project })`. */
    list: (request: Options<typeof ListApiKeysRequestSchema> & { readonly project: string }) =>
      createList(caller, method.listApiKeys, request, (page): readonly ApiKey[] => page.apiKeys),

    /** Replaces an API key by a new one. The old key is valid until the overlap ends. */
    rotate: async (
      id: string,
      options: Options<typeof RotateApiKeyRequestSchema, "id"> = {},
    ): Promise<{ apiKey: ApiKey; secret: string; oldApiKey?: ApiKey | undefined }> => {
      const { apiKey, ...rest } = await caller.call(method.rotateApiKey, { ...options, id });
      return { ...rest, apiKey: required(apiKey, "API key") };
    },

    /** Revokes an API key. */
    revoke: async (
      id: string,
      options: Options<typeof RevokeApiKeyRequestSchema, "id"> = {},
    ): Promise<ApiKey> => {
      const { apiKey } = await caller.call(method.revokeApiKey, { ...options, id });
      return required(apiKey, "API key");
    },
  };
}
