/** The names that a body's template may have in double braces. */
export const BODY_PLACEHOLDERS = ["trigger", "job", "nominalTime", "attempt", "payload"] as const;

type Placeholder = (typeof BODY_PLACEHOLDERS)[number];

/** A text that is sent as it is, or a placeholder. */
type BodyPart = string | { readonly name: Placeholder; readonly isInText: boolean };

/** A parsed template. */
export type BodyTemplate = readonly BodyPart[];

/** What the placeholders stand for. The payload is JSON text; the others need no escaping in JSON. */
export type BodyValues = Readonly<Record<Placeholder, string>>;

const MAX_PLACEHOLDERS = 100;
const ACCEPTED = BODY_PLACEHOLDERS.map((name) => `{{${name}}}`).join(" ");
const SAMPLE: BodyValues = {
  trigger: "trg_00000000000000000000000000",
  job: "job",
  nominalTime: "2026-03-01T09:00:00.000Z",
  attempt: "1",
  payload: "null",
};

/**
 * Parses a template, or returns what is wrong with it. Both limits keep a body of 64 KiB of template and 64 KiB of payload
 * below 256 KiB. In JSON it finds out whether a placeholder is inside a text, because a payload is escaped there.
 */
export function parseBodyTemplate(
  text: string,
  contentType?: string,
): { readonly template: BodyTemplate } | { readonly problem: string } {
  const isJson = isJsonType(contentType);
  // Every second item is what was between double braces.
  const pieces = text.split(/\{\{([^{}]*)\}\}/);
  const template: BodyPart[] = [];
  let isInText = false;
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 0) {
      if (piece.includes("{{"))
        return { problem: 'It has "{{" without "}}"; write one brace as \\u007b in JSON.' };
      template.push(piece);
      if (isJson) isInText = endsInText(piece, isInText);
    } else {
      const name = BODY_PLACEHOLDERS.find((known) => known === piece.trim());
      if (name === undefined) return { problem: `It has {{${piece.slice(0, 100)}}}; accepted: ${ACCEPTED}.` };
      template.push({ name, isInText });
    }
  }
  const names = template.flatMap((part) => (typeof part === "string" ? [] : [part.name]));
  if (names.length > MAX_PLACEHOLDERS)
    return { problem: `It has ${names.length} placeholders; use at most ${MAX_PLACEHOLDERS}.` };
  const payloads = names.filter((name) => name === "payload").length;
  if (payloads > 1) return { problem: `It has {{payload}} ${payloads} times; use it once.` };
  return { template };
}

/** Says what is wrong with a template for a content type, which is JSON if there is none; undefined if nothing is. */
export function findBodyProblem(text: string, contentType?: string): string | undefined {
  const parsed = parseBodyTemplate(text, contentType);
  if ("problem" in parsed) return parsed.problem;
  if (!isJsonType(contentType)) return undefined;
  const escaped = findEscaped(parsed.template);
  if (escaped !== undefined)
    return `It has a backslash right before {{${escaped}}} inside a text, which would escape what replaces it; write two for one backslash.`;
  try {
    JSON.parse(fillBody(parsed.template, SAMPLE));
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `It is not JSON when its placeholders are replaced (${why}); mend it, or set contentType to the type that it has.`;
  }
}

/** Returns the body: the template with the values in the places of the placeholders. */
export function fillBody(template: BodyTemplate, values: BodyValues): string {
  let body = "";
  for (const part of template) {
    if (typeof part === "string") body += part;
    else if (part.name === "payload" && part.isInText) body += insideText(values.payload);
    else body += values[part.name];
  }
  return body;
}

/** Returns JSON text as a part of a JSON text: a text without its quotes, and anything else escaped. */
function insideText(json: string): string {
  return (json.startsWith('"') ? json : JSON.stringify(json)).slice(1, -1);
}

/** Whether JSON ends inside a text, if it began inside one or not. */
function endsInText(json: string, began: boolean): boolean {
  let isInText = began;
  for (let at = 0; at < json.length; at++) {
    if (json[at] === '"') isInText = !isInText;
    else if (json[at] === "\\" && isInText) at++;
  }
  return isInText;
}

/** Returns the name of the first placeholder that a backslash before it would escape, inside a text of JSON. */
function findEscaped(template: BodyTemplate): string | undefined {
  let isEscaped = false;
  for (const part of template) {
    if (typeof part === "string") isEscaped = (/\\+$/.exec(part)?.[0].length ?? 0) % 2 === 1;
    else if (part.isInText && isEscaped) return part.name;
  }
  return undefined;
}

function isJsonType(contentType = "application/json"): boolean {
  return /^(?:application\/json|[^;]*\+json) *(?:;|$)/i.test(contentType);
}
