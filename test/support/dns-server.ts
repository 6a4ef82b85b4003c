import dgram from "node:dgram";
import { promises as dns } from "node:dns";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** What a name server answers to the question for the IPv4 addresses of a name. */
export type DnsAnswer =
  | { readonly addresses: readonly string[]; readonly ttlSeconds: number }
  /** The name does not exist. */
  | "NXDOMAIN"
  /** The name server reports a failure. */
  | "SERVFAIL";

/** A name server on the loopback address that speaks DNS over UDP. */
export interface DnsServer {
  /** The names that were asked for their IPv4 addresses so far, in order. */
  readonly asked: readonly string[];
  /** Sets what is answered from now on; the last answer is repeated. It has no IPv6 addresses. */
  answer(...answers: readonly DnsAnswer[]): void;
  /** Never answers a question about this name. */
  silence(name: string): void;
  /** Makes a resolver that asks this server only. */
  resolver(timeoutMs: number): dns.Resolver;
  stop(): void;
}

const TYPE_A = 1;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
/** A pointer to the name of the question. */
const POINTER = 0xc00c;
const RESPONSE = 0x8180;
const CODES = { NXDOMAIN: 3, SERVFAIL: 2 } as const;

/** Starts a name server on a free port. */
export async function startDnsServer(): Promise<DnsServer> {
  const socket = dgram.createSocket("udp4");
  const asked: string[] = [];
  const silent = new Set<string>();
  let answers: DnsAnswer[] = ["NXDOMAIN"];
  socket.on("message", (query, from) => {
    const { name, type, end } = readQuestion(query);
    if (silent.has(name)) return;
    let answer: DnsAnswer = { addresses: [], ttlSeconds: 0 };
    if (type === TYPE_A) {
      asked.push(name);
      answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? "NXDOMAIN";
    } else if (typeof answers[0] === "string") [answer] = answers as [DnsAnswer];
    socket.send(toMessage(query, end, answer), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address() as AddressInfo;
  return {
    asked,
    answer: (...next) => {
      answers = [...next];
    },
    silence: (name) => {
      silent.add(name);
    },
    resolver: (timeoutMs) => {
      const resolver = new dns.Resolver({ timeout: timeoutMs, tries: 1 });
      resolver.setServers([`127.0.0.1:${port}`]);
      return resolver;
    },
    stop: () => {
      socket.close();
    },
  };
}

// RFC 1035, section 4.1.2: labels with their lengths, then the type and the class.
function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function toMessage(query: Buffer, questionEnd: number, answer: DnsAnswer): Buffer {
  const addresses = typeof answer === "string" ? [] : answer.addresses;
  const head = Buffer.alloc(HEADER_BYTES);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(RESPONSE | (typeof answer === "string" ? CODES[answer] : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  const ttlSeconds = typeof answer === "string" ? 0 : answer.ttlSeconds;
  return Buffer.concat([
    head,
    query.subarray(HEADER_BYTES, questionEnd),
    ...addresses.map((address) => toRecord(address, ttlSeconds)),
  ]);
}

function toRecord(address: string, ttlSeconds: number): Buffer {
  const record = Buffer.alloc(12);
  record.writeUInt16BE(POINTER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(ttlSeconds, 6);
  record.writeUInt16BE(4, 10);
  return Buffer.concat([record, Buffer.from(address.split(".").map(Number))]);
}
