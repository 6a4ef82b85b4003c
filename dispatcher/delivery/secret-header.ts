/** A header whose value has a secret, which is named by its id, sec_…. */
export type SecretHeader =
  | { readonly kind: "bearer"; readonly secretId: string }
  | { readonly kind: "basic"; readonly username: string; readonly secretId: string }
  /** The name is in lower case. */
  | { readonly kind: "own"; readonly name: string; readonly secretId: string };

/** Returns the name and the value of the header. Sources: RFC 6750, section 2.1; RFC 7617, section 2, with UTF-8. */
export function toHeader(header: SecretHeader, secret: string): [name: string, value: string] {
  switch (header.kind) {
    case "bearer":
      return ["authorization", `Bearer ${secret}`];
    case "basic":
      return ["authorization", `Basic ${Buffer.from(`${header.username}:${secret}`).toString("base64")}`];
    case "own":
      return [header.name, secret];
  }
}
