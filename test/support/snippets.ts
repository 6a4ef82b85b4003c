import { readFileSync } from "node:fs";

/** A block of code of a page. */
export interface Snippet {
  /** What follows the opening fence: `sh`, `js`, …. */
  readonly language: string;
  readonly text: string;
  /** The file that the sentence before the block asks the reader to save it as. Undefined if it asks for none. */
  readonly file: string | undefined;
}

const BLOCK = /^```(\S*)\n([\s\S]*?)^```$/gm;
// The names in the sentences since the block before, of which the last one counts.
const SAVED_AS = /[Ss]aved?\s+(?:this|it)?\s*as\s+`([^`]+)`/g;

/** Reads the blocks of code of a page in Markdown, exactly as printed and in their order. */
export function snippetsOf(path: string): Snippet[] {
  const page = readFileSync(path, "utf8");
  let end = 0;
  return [...page.matchAll(BLOCK)].map((match) => {
    const before = page.slice(end, match.index);
    end = match.index + match[0].length;
    const file = [...before.matchAll(SAVED_AS)].at(-1)?.[1];
    return { language: match[1] ?? "", text: match[2] ?? "", file };
  });
}
