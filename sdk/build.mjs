// Builds dist/: ES modules with their declarations, and both again for CommonJS in dist/cjs/. The files stay apart, so
// that a class is the same for every entry of the package that an application loads.
import { spawnSync } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const sdk = dirname(fileURLToPath(import.meta.url));
const dist = join(sdk, "dist");
rmSync(dist, { recursive: true, force: true });

const tsc = fileURLToPath(import.meta.resolve("typescript/bin/tsc"));
const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], {
  cwd: sdk,
  stdio: "inherit",
});
if (status !== 0) process.exit(1);

const declarations = globSync("**/*.d.ts", { cwd: dist });
const modules = globSync("**/*.js", { cwd: dist });
const cjs = join(dist, "cjs");
await build({
  entryPoints: modules.map((file) => join(dist, file)),
  outdir: cjs,
  outbase: dist,
  format: "cjs",
  platform: "node",
  target: "node20",
});
for (const file of declarations) {
  mkdirSync(dirname(join(cjs, file)), { recursive: true });
  copyFileSync(join(dist, file), join(cjs, file));
}
// The package as a whole is of type "module".
writeFileSync(join(cjs, "package.json"), '{ "type": "commonjs" }\n');
