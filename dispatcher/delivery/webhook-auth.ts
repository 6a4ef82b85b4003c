/** How a webhook authenticates itself, besides its signature. A secret is named by its id, sec_…. */
export type WebhookAuth =
  | { readonly kind: "bearer"; readonly secretId: string }
  | { readonly kind: "basic"; readonly username: string; readonly secretId: string };

/** Returns the `authorization` header. Sources: RFC 6750, section 2.1; RFC 7617, section 2, with UTF-8. */
export function toAuthorization(auth: WebhookAuth, secret: string): string {
  if (auth.kind === "bearer") return `Bearer ${secret}`;
  return `Basic ${Buffer.from(`${auth.username}:${secret}`).toString("base64")}`;
}
