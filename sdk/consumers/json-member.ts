// A string, or a character that gives the structure. What lies between two of them belongs to a number or a word.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g;

/**
 * Returns the text of a member of a JSON object, exactly as it was written, without the white space around it. A
 * signature covers that text, and JSON.parse would lose the digits of large numbers. `json` must be valid JSON.
 * Returns undefined if the object has no such member. If it has several, the first one counts.
 */
export function textOfMember(json: string, member: string): string | undefined {
  let depth = 0;
  let lastString: string | undefined;
  let start: number | undefined;
  for (const { 0: token, index } of json.matchAll(TOKENS)) {
    const isEnd = (token === "," && depth === 1) || (token === "}" && depth === 1);
    if (isEnd && start !== undefined) return json.slice(start, index).trim();
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    else if (token.startsWith('"')) lastString = token;
    else if (token === ":" && depth === 1 && start === undefined && isName(lastString, member)) {
      start = index + 1;
    }
  }
  return undefined;
}

function isName(token: string | undefined, member: string): boolean {
  return token !== undefined && JSON.parse(token) === member;
}
