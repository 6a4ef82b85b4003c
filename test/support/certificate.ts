import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** A certificate authority of a test. */
export interface TestAuthority {
  /** Its certificate, in PEM. */
  readonly certificate: string;
  /** Issues a certificate, by default for 127.0.0.1 and localhost. Returns it and its key, both in PEM. */
  issue(options?: IssueOptions): IssuedCertificate;
}

/** A certificate and its key, both in PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface IssueOptions {
  /** Its only name, in place of 127.0.0.1 and localhost. */
  readonly name?: string;
  /** When it is valid, in epoch milliseconds. Default: from yesterday until tomorrow. */
  readonly validMs?: readonly [from: number, to: number];
  /** Whether its own key signs it, and not the authority. */
  readonly isSelfSigned?: boolean;
  /** The public key that it names, in place of that of the returned key. */
  readonly publicKey?: KeyObject;
}

const DAY_MS = 86_400_000;
/** The object identifiers of X.520, X.509 and X9.62 that are needed, in DER. */
const COMMON_NAME = Buffer.from("0603550403", "hex");
const BASIC_CONSTRAINTS = Buffer.from("0603551d13", "hex");
const ALTERNATIVE_NAMES = Buffer.from("0603551d11", "hex");
const ECDSA_WITH_SHA256 = Buffer.from("06082a8648ce3d040302", "hex");
const TRUE = Buffer.from("0101ff", "hex");

/** Makes a certificate authority with a new key. Its certificates are valid from yesterday until tomorrow. */
export function createTestAuthority(): TestAuthority {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = "Test authority";
  const isAuthority = extension(BASIC_CONSTRAINTS, TRUE, sequence(TRUE));
  const certificate = toCertificate({
    subject: name,
    issuer: name,
    publicKey: keys.publicKey,
    signer: keys.privateKey,
    extensions: [isAuthority],
  });
  return {
    certificate,
    issue: ({ name: other, validMs, isSelfSigned = false, publicKey } = {}) => {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const names = sequence(
        tagged(0x82, Buffer.from(other ?? "localhost")),
        ...(other === undefined ? [tagged(0x87, Buffer.from([127, 0, 0, 1]))] : []),
      );
      const cert = toCertificate({
        subject: "localhost",
        issuer: isSelfSigned ? "localhost" : name,
        publicKey: publicKey ?? own.publicKey,
        signer: isSelfSigned ? own.privateKey : keys.privateKey,
        validMs,
        extensions: [extension(ALTERNATIVE_NAMES, names)],
      });
      return { cert, key: own.privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
    },
  };
}

// RFC 5280, section 4.1: Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }.
function toCertificate(parts: {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly validMs?: readonly [number, number] | undefined;
}): string {
  const algorithm = sequence(ECDSA_WITH_SHA256);
  const nowMs = Date.now();
  const [fromMs, toMs] = parts.validMs ?? [nowMs - DAY_MS, nowMs + DAY_MS];
  const version3 = tagged(0xa0, Buffer.from("020102", "hex"));
  const serial = tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]));
  const signed = sequence(
    version3,
    serial,
    algorithm,
    toName(parts.issuer),
    sequence(toTime(fromMs), toTime(toMs)),
    toName(parts.subject),
    parts.publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...parts.extensions)),
  );
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), sign("sha256", signed, parts.signer)]));
  const base64 = sequence(signed, algorithm, signature).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

function toName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(COMMON_NAME, tagged(0x0c, Buffer.from(commonName)))));
}

function toTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+|[-:T]/g, "");
  return tagged(0x18, Buffer.from(digits));
}

function extension(id: Buffer, ...rest: [...Buffer[], Buffer]): Buffer {
  const value = rest.at(-1) ?? Buffer.alloc(0);
  return sequence(id, ...rest.slice(0, -1), tagged(0x04, value));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content]);
  // DER wants the fewest bytes that hold the length.
  const head = length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
