import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { BrokerName } from "./arguments.ts";
import { writePrivateFile } from "./data-directory.ts";
import { StartError, systemCode } from "./start-error.ts";

/** The id and the secrets of the demo project. */
export interface DemoKeys {
  /** The project's id. */
  readonly project: string;
  /** Its API key. */
  readonly apiKey: string;
  /** The secret that signs its webhooks, `whsec_…`. */
  readonly signingSecret: string;
}

/** The administrator's password of a broker, and its port in the last run, which is used again if it is free. */
export interface BrokerKeys {
  readonly port: number;
  readonly password: string;
}

/** The content of keys.json: the secrets of one data directory, and some addresses. */
export interface Keys {
  /** 32 bytes in base64. The dispatcher encrypts signing secrets with it; without it nothing can decrypt them. */
  readonly masterKey: string;
  /** The master key that `masterKey` replaces, while it does; likewise. */
  readonly previousMasterKey?: string;
  /** The operator's API key. */
  readonly operatorKey: string;
  /** Passwords of PostgreSQL's superuser and of the services' roles. */
  readonly passwords: Readonly<Record<"postgres" | "gateway" | "scheduler" | "dispatcher", string>>;
  /** The demo project; absent until it exists. */
  readonly demo?: DemoKeys;
  /** The port of the demo receiver in the last run. It is reused, so that triggers of that run reach the receiver. */
  readonly receiverPort?: number;
  /** Of the brokers that `npm start -- --with` has started. */
  readonly brokers?: Readonly<Partial<Record<BrokerName, BrokerKeys>>>;
  /** The superuser's connection string in this run, for use with psql. */
  readonly databaseUrl?: string;
}

/** Reads keys.json; returns undefined when the file does not exist. Throws a StartError when it is damaged. */
export function readKeys(path: string): Keys | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return undefined;
    throw new StartError(`${path} cannot be read (${systemCode(cause)}). Make it readable.`, { cause });
  }
  const keys = parse(text);
  if (keys !== undefined) return keys;
  throw new StartError(
    `${path} is damaged: a key is missing or is not valid. ` +
      "Restore it from a backup; without its master key, the signing secrets in the database cannot be decrypted.",
  );
}

function parse(text: string): Keys | undefined {
  try {
    const keys = JSON.parse(text) as Partial<Keys>;
    const { gateway, scheduler, dispatcher, postgres } = keys.passwords ?? {};
    const texts = [keys.operatorKey, gateway, scheduler, dispatcher, postgres];
    const isComplete = texts.every((value) => typeof value === "string" && value !== "");
    const masterKeys = [keys.masterKey ?? "", keys.previousMasterKey ?? keys.masterKey ?? ""];
    const areKeys = masterKeys.every((text) => Buffer.from(text, "base64").length === 32);
    return isComplete && areKeys ? (keys as Keys) : undefined;
  } catch {
    return undefined;
  }
}

/** Writes keys.json, which only its owner may read. */
export function writeKeys(path: string, keys: Keys): void {
  writePrivateFile(path, `${JSON.stringify(keys, undefined, 2)}\n`);
}

/** Returns new random keys. */
export function createKeys(): Keys {
  const secret = () => randomBytes(24).toString("base64url");
  return {
    masterKey: randomBytes(32).toString("base64"),
    operatorKey: `ec_operator_${randomBytes(32).toString("base64url")}`,
    passwords: { postgres: secret(), gateway: secret(), scheduler: secret(), dispatcher: secret() },
  };
}

/** Returns the SHA-256 of the operator's key in hexadecimal, which is all that the gateway gets of it. */
export function hashOperatorKey(operatorKey: string): string {
  return createHash("sha256").update(operatorKey).digest("hex");
}
