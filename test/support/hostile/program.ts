// All hostile receivers in a process of their own, so that what they send does not slow down a test's own receiver. Sends
// { certificate, urls } to its parent, the certificate of their authority in PEM, and ends with it.
import { createTestAuthority } from "../certificate.ts";
import { BEHAVIOURS, startHostile } from "./fleet.ts";

const authority = createTestAuthority();
const servers = await Promise.all(BEHAVIOURS.map((behaviour) => startHostile(behaviour, authority)));
process.on("disconnect", () => process.exit(0));
process.send?.({ certificate: authority.certificate, urls: servers.map(({ url }) => url) });
