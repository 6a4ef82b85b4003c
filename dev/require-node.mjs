// This file is plain JavaScript and is loaded before any TypeScript. An older Node would otherwise fail on the first
// .ts file with a message that names neither the cause nor the remedy.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `easycron: Node ${process.versions.node} is too old, 22.19 or newer is needed. ` +
      "Run it through npm (npm start, npm test): `npm ci` installs Node 24 as a package.",
  );
  process.exit(1);
}
