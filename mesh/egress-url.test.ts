import { describe, expect, test } from "vitest";
import { DENY_NOTHING, parseAllowList, parseDenyList } from "./egress-address.ts";
import { checkUrl } from "./egress-url.ts";

const none = parseAllowList("");
const loopback = parseAllowList("127.0.0.0/8,::1/128");
const problem = (url: string, allow = none, deny = DENY_NOTHING) => {
  const verdict = checkUrl(url, allow, deny);
  return "problem" in verdict ? verdict.problem : verdict.href;
};

test.each([
  ["https://hooks.acme.io/in?a=b", "https://hooks.acme.io/in?a=b"],
  ["http://acme.io:8080", "http://acme.io:8080/"],
  ["HTTPS://ACME.io/%7Ex", "https://acme.io/%7Ex"],
  ["https://bücher.de/", "https://xn--bcher-kva.de/"],
  ["https://1.1.1.1/", "https://1.1.1.1/"],
  ["https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"],
  ["https://acme.io./x", "https://acme.io./x"],
])("%s may be called, as %s", (url, href) => {
  expect(problem(url)).toBe(href);
});

describe("a URL that cannot be called is URL_INVALID:", () => {
  test.each([
    "",
    "acme.io",
    "//acme.io/",
    "ftp://acme.io/",
    "file:///etc/passwd",
    "https:acme.io",
    "https:///acme.io",
    "https://",
    "https://a b.io/",
    " https://acme.io/",
    "https://acme.io/\n",
    "https://acme.io\\@127.0.0.1/",
    "https://user@acme.io/",
    "https://user:pw@acme.io/",
    "https://@acme.io/",
    "https://acme.io/#top",
    "https://acme.io/#",
    "https://acme.io:0/",
    "https://acme.io:99999/",
    "https://acme.io:x/",
    "https://[::1/",
    "https://256.256.256.256/",
    `https://acme.io/${"x".repeat(2_048)}`,
    `https://acme.io/${"ü".repeat(1_000)}`,
  ])("%j", (url) => {
    expect(problem(url)).toBe("URL_INVALID");
  });
});

describe("a URL of a machine in the local network is TARGET_FORBIDDEN:", () => {
  test.each([
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:6379/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://db/",
    "http://a.localhost/",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://x.svc.cluster.local/",
    "http://kubernetes.default.svc/",
    "http://router.home.arpa/",
    "http://x.onion/",
    "http://x.test/",
    "http://nobody.invalid/",
    "http://1.0.0.10.in-addr.arpa/",
    "http://acme.io:22/",
    "https://acme.io:25/",
    "http://1.1.1.1:6667/",
  ])("%s", (url) => {
    expect(problem(url)).toBe("TARGET_FORBIDDEN");
  });
});

test.each([
  "https://api.acme.io/easycron.v1.JobService/CreateJob",
  "https://API.acme.io./",
  "https://eu.api.acme.io/",
  "https://203.0.113.7/",
  "https://[2606:4700::1]/",
])("our own host is TARGET_FORBIDDEN: %s", (url) => {
  const deny = parseDenyList("api.acme.io,203.0.113.7,2606:4700::/32");
  expect(problem(url, parseAllowList("203.0.113.0/24"), deny)).toBe("TARGET_FORBIDDEN");
});

test("a port of another protocol may be called at an address that the operator has allowed", () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"])
    expect(problem(`http://${host}:22/`, loopback)).toBe(`http://${host}:22/`);
});

test.each([
  ["http://127.0.0.1:9000/", "http://127.0.0.1:9000/"],
  ["http://[::1]:9000/", "http://[::1]:9000/"],
  ["http://localhost:9000/", "http://localhost:9000/"],
  ["http://10.0.0.1/", "TARGET_FORBIDDEN"],
  ["http://db/", "TARGET_FORBIDDEN"],
  ["http://a.localhost/", "TARGET_FORBIDDEN"],
])("if the loopback addresses are allowed, the result for %s is %s", (url, verdict) => {
  expect(problem(url, loopback)).toBe(verdict);
});
