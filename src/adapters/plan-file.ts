import { Lexer, parseDocument, Parser } from 'yaml';
import { readPlan, type ReadPlan } from '../domain/plan/read-plan.ts';

/** Largest plan file, in bytes: what goes into a workflow's history is kept far below Temporal's 2 MB. */
export const MAX_PLAN_BYTES = 128 * 1024;

/** Anchors may be used, but not to blow up a small file into a large one. */
const MAX_ALIASES = 100;

/** Deeper than any plan goes; the composer behind the parser recurses, and some 20,000 levels kill the process. */
const MAX_DEPTH = 64;

/** `data` is the plan in its input form, plain JSON: this is what a workflow takes. */
export type PlanText =
  | { readonly ok: true; readonly data: unknown; readonly read: ReadPlan }
  | { readonly ok: false; readonly message: string };

/**
 * Reads a plan from YAML 1.2 (core schema) or JSON, which is YAML too: one parser for both. Text that is no YAML, has
 * duplicate keys, custom tags or too many aliases, or is too long comes back with a message that names line and column.
 */
export function parsePlanText(text: string, fileName: string): PlanText {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_PLAN_BYTES) {
    const message = `${fileName} has ${Math.ceil(bytes / 1024)} KB; a plan may have ${MAX_PLAN_BYTES / 1024} KB.`;
    return { ok: false, message };
  }
  const deepLine = tooDeepAt(text);
  if (deepLine !== undefined) {
    const message = `${fileName} cannot be read: line ${deepLine} is nested more than ${MAX_DEPTH} deep.`;
    return { ok: false, message };
  }
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    stringKeys: true, // a version such as 1.10 stays what it is, also as a key
    uniqueKeys: true,
    merge: false,
    resolveKnownTags: false, // no sets, dates or binary: plain JSON data only
    prettyErrors: true,
  });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    const lines = faults.map(({ message }) => `  - ${message.trim().replaceAll('\n', '\n    ')}`);
    return { ok: false, message: [`${fileName} cannot be read:`, ...lines].join('\n') };
  }
  try {
    const data: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    return { ok: true, data, read: readPlan(data) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, message: `${fileName} cannot be read: ${reason}.` };
  }
}

/** Line at which the nesting goes too deep; read by the parser that keeps its own stack, so that nothing recurses. */
function tooDeepAt(text: string): number | undefined {
  const parser = new Parser();
  let line = 1;
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > MAX_DEPTH) return line;
    line += lexeme.split('\n').length - 1;
  }
  return undefined;
}
