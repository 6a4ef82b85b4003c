// Bundles entries of the package as applications do, minified. Fails if ./webhook is too large or loads protobuf, or if
// a bundle for browsers needs a module of Node.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const MAX_BYTES = 4_000;
const BUNDLES = [
  { entry: "webhook.ts", platform: "node", maxBytes: MAX_BYTES },
  { entry: "webhook.web.ts", platform: "browser", maxBytes: MAX_BYTES },
  { entry: "index.ts", platform: "browser" },
];

const problems = [];
for (const { entry, platform, maxBytes } of BUNDLES) {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform,
    target: "es2022",
  });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${entry} for ${platform}: ${bytes} bytes, minified and compressed by gzip`);
  if (maxBytes === undefined) continue;
  if (bytes >= maxBytes) problems.push(`${entry} has ${bytes} bytes; it must have less than ${maxBytes}.`);
  const foreign = Object.keys(metafile.inputs).find((path) => /node_modules|\bgen\//.test(path));
  if (foreign !== undefined) problems.push(`${entry} loads ${foreign}; it must load no dependency.`);
}
for (const problem of problems) console.error(`sdk: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
