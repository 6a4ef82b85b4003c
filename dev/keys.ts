import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { writePrivateFile } from "./data-directory.ts";
import { StartError, systemCode } from "./start-error.ts";

/** What opens the demo project. */
export interface DemoKeys {
  /** The project's id. */
  readonly project: string;
  /** Its API key. */
  readonly apiKey: string;
  /** The secret with which its webhooks are signed, whsec_…. */
  readonly signingSecret: string;
}

/** The secrets of one data directory, and the addresses that are kept with them. */
export interface Keys {
  /** 32 bytes in base64, under which the dispatcher encrypts signing secrets. Without it they cannot be read. */
  readonly masterKey: string;
  /** The operator's API key. */
  readonly operatorKey: string;
  /** Passwords of PostgreSQL's superuser and of the services' roles. */
  readonly passwords: Readonly<Record<"postgres" | "gateway" | "scheduler" | "dispatcher", string>>;
  /** The demo project; absent until it was made. */
  readonly demo?: DemoKeys;
  /** Where the demo receiver listened last, so that triggers of the last run still find it. */
  readonly receiverPort?: number;
  /** The superuser's connection string in this run, for psql and the curious. */
  readonly databaseUrl?: string;
}

/** Reads keys.json; undefined when there is none. Throws a StartError when it is damaged. */
export function readKeys(path: string): Keys | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return undefined;
    throw new StartError(`${path} cannot be read: ${systemCode(cause)}. Make it readable.`, { cause });
  }
  const keys = parse(text);
  if (keys !== undefined) return keys;
  throw new StartError(
    `${path} is damaged: it does not hold the keys that it should. ` +
      "Restore it from a backup; without its master key, the signing secrets in the database cannot be read.",
  );
}

function parse(text: string): Keys | undefined {
  try {
    const keys = JSON.parse(text) as Partial<Keys>;
    const { gateway, scheduler, dispatcher, postgres } = keys.passwords ?? {};
    const texts = [keys.operatorKey, gateway, scheduler, dispatcher, postgres];
    const isWhole = texts.every((value) => typeof value === "string" && value !== "");
    return isWhole && Buffer.from(keys.masterKey ?? "", "base64").length === 32 ? (keys as Keys) : undefined;
  } catch {
    return undefined;
  }
}

/** Writes keys.json, for its owner's eyes only. */
export function writeKeys(path: string, keys: Keys): void {
  writePrivateFile(path, `${JSON.stringify(keys, undefined, 2)}\n`);
}

/** Makes new keys. */
export function createKeys(): Keys {
  const secret = () => randomBytes(24).toString("base64url");
  return {
    masterKey: randomBytes(32).toString("base64"),
    operatorKey: `ec_operator_${randomBytes(32).toString("base64url")}`,
    passwords: { postgres: secret(), gateway: secret(), scheduler: secret(), dispatcher: secret() },
  };
}

/** What the gateway knows of the operator's key: its SHA-256 in hexadecimal. */
export function hashOperatorKey(operatorKey: string): string {
  return createHash("sha256").update(operatorKey).digest("hex");
}
