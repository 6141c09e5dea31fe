import { Lexer, parseDocument, Parser } from 'yaml';

/** Anchors may be used, but not to blow up a small file into a large one. */
const MAX_ALIASES = 100;

/** Deeper than any of our files goes; the composer behind the parser recurses, and some 20,000 levels kill the process. */
const MAX_DEPTH = 64;

/** Plain JSON data, or all that keeps the text from being read, one sentence each. */
export type YamlText =
  { readonly ok: true; readonly data: unknown } | { readonly ok: false; readonly faults: readonly string[] };

/**
 * Reads YAML 1.2 (core schema) or JSON, which is YAML too: one parser for every file that a person writes. Text that is
 * no YAML, has duplicate keys, custom tags, too many aliases or levels comes back with faults that name line and column.
 */
export function readYamlText(text: string): YamlText {
  const deepLine = tooDeepAt(text);
  if (deepLine !== undefined) {
    return { ok: false, faults: [`line ${deepLine} is nested more than ${MAX_DEPTH} deep`] };
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
  if (faults.length > 0) return { ok: false, faults: faults.map(({ message }) => message.trim()) };
  try {
    return { ok: true, data: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (error) {
    return { ok: false, faults: [error instanceof Error ? error.message : String(error)] };
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
