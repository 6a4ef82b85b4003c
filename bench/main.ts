import { type Benchmark, printTable } from "./report.ts";

const names = ["burst", "steady", "next", "verify", "plugins"] as const;

async function load(name: string): Promise<Benchmark> {
  if (!names.some((known) => known === name)) {
    console.error(`bench: there is no benchmark "${name}"; choose one of ${names.join(", ")}.`);
    process.exit(2);
  }
  return (await import(`./${name}.ts`)) as Benchmark;
}

const given = process.argv[2];
for (const name of given === undefined ? names : [given]) {
  const { title, run } = await load(name);
  console.log(`\n${name}: ${title}`);
  const rows = await run();
  printTable(rows);
  console.log(JSON.stringify({ bench: name, rows }));
}
