import { join } from "node:path";
import ts from "typescript";

/** A symbol that users of the package meet: an export, a property of the client, or one of its methods. */
export interface PublicSymbol {
  /** Its name with that of its entry, such as `index: cron` or `index: EasyCron.jobs.get`. */
  readonly name: string;
  /** Whether it is something that runs: a function, a class or a method. Types and properties are not. */
  readonly runs: boolean;
  /** Its description, without tags. */
  readonly description: string;
  /** The code of its `@example` blocks. */
  readonly examples: readonly string[];
}

const SDK = join(import.meta.dirname, "..");
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2024,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ["lib.es2024.d.ts"],
  types: ["node"],
  allowImportingTsExtensions: true,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
};

// Each file is read once for all programs, which is most of what a program costs.
const host = ts.createCompilerHost(OPTIONS);
const sources = new Map<string, ts.SourceFile | undefined>();
const { getSourceFile } = host;
host.getSourceFile = (path, ...how) => {
  if (!sources.has(path)) sources.set(path, getSourceFile(path, ...how));
  return sources.get(path);
};
let before: ts.Program | undefined;

function createProgram(files: readonly string[]): ts.Program {
  before = ts.createProgram(files, OPTIONS, host, before);
  return before;
}

/** Compiles files. Returns what is wrong with each, with its line. What they import is not checked. */
export function compile(files: readonly string[]): string[] {
  const program = createProgram(files);
  return files.flatMap((path) => {
    const file = program.getSourceFile(path);
    if (file === undefined) return [`${path} is missing`];
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    return found.map(({ start = 0, messageText }) => {
      const line = file.getLineAndCharacterOfPosition(start).line + 1;
      return `${path}:${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
  });
}

/** Reads the public symbols of entries of the package, such as `index`, by the TypeScript compiler. */
export function readPublicSymbols(entries: readonly string[]): PublicSymbol[] {
  const files = entries.map((entry) => join(SDK, `${entry}.ts`));
  const program = createProgram(files);
  const checker = program.getTypeChecker();
  return entries.flatMap((entry, index) => {
    const file = program.getSourceFile(files[index] ?? "");
    const module = file && checker.getSymbolAtLocation(file);
    if (module === undefined) throw new Error(`${entry}.ts is no module.`);
    return checker.getExportsOfModule(module).flatMap((exported) => {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      const name = `${entry}: ${exported.name}`;
      const own = describe(checker, symbol, name);
      return exported.name === "EasyCron" ? [own, ...readClient(checker, symbol, name)] : [own];
    });
  });
}

/** Reads the properties of the client, and the methods of each. The generated client is left out. */
function readClient(checker: ts.TypeChecker, client: ts.Symbol, name: string): PublicSymbol[] {
  return [...(client.members?.values() ?? [])].flatMap((property) => {
    if ((property.flags & ts.SymbolFlags.Property) === 0) return [];
    const path = `${name}.${property.name}`;
    const methods = property.name === "raw" ? [] : checker.getTypeOfSymbol(property).getProperties();
    return [
      describe(checker, property, path),
      ...methods.map((method) => ({ ...describe(checker, method, `${path}.${method.name}`), runs: true })),
    ];
  });
}

function describe(checker: ts.TypeChecker, symbol: ts.Symbol, name: string): PublicSymbol {
  const tags = symbol.getJsDocTags(checker).filter((tag) => tag.name === "example");
  return {
    name,
    runs: (symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Class)) !== 0,
    description: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
    examples: tags.map(({ text }) => codeOf(ts.displayPartsToString(text))),
  };
}

function codeOf(example: string): string {
  const [, code] = /^```ts\n([\s\S]*?)\n```$/.exec(example.trim()) ?? [];
  if (code === undefined) throw new Error(`This example is no block of ts:\n${example}`);
  return code;
}
