// Empties dist/ before a build, and marks dist/cjs/ as CommonJS, which the package as a whole is not.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";

const dist = new URL("dist/", import.meta.url);
rmSync(dist, { recursive: true, force: true });
mkdirSync(new URL("cjs/", dist), { recursive: true });
writeFileSync(new URL("cjs/package.json", dist), '{ "type": "commonjs" }\n');
