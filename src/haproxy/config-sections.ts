/** Something to mend in a configuration. */
export interface ConfigProblem {
  /** Where to look, or where to write what is missing; from 1. */
  readonly line: number;
  /** What is missing, or is there and must not be. */
  readonly missing: string;
  readonly write: string;
}

export interface ConfigLine {
  /** From 1. */
  readonly number: number;
  /** Without comment, with single spaces, and with quotes only where the argument needs them. */
  readonly words: string;
}

export interface Section {
  readonly kind: string;
  readonly name: string;
  /** Name of the `defaults` that it says to start from. */
  readonly from?: string;
  readonly line: number;
  readonly lines: ConfigLine[];
}

/** However a line is indented: by its first word it begins a section, with a name or without (`defaults from base`). */
const SECTION =
  /^(global|defaults|frontend|backend|listen|peers|resolvers|userlist|program|ring|cache|mailers|http-errors|fcgi-app|log-forward|log-profile|crt-store|traces|acme)(?= |$) ?(?!from )(\S*)/;

/** The sections of a haproxy.cfg; all that is global is in the first of its kind. */
export function sectionsOf(text: string): Section[] {
  const sections: Section[] = [];
  let current: Section | undefined;
  text.split('\n').forEach((raw, index) => {
    const words = argumentsOf(raw).map(asWritten).join(' ');
    if (words === '') return;
    const start = SECTION.exec(words);
    if (start === null) {
      current?.lines.push({ number: index + 1, words });
      return;
    }
    const [, kind = '', name = ''] = start;
    const [, from] = / ?from (\S+)$/.exec(words) ?? [];
    current = kind === 'global' ? sections.find((section) => section.kind === kind) : undefined;
    if (current !== undefined) return;
    current = { kind, name, ...(from === undefined ? {} : { from }), line: index + 1, lines: [] };
    sections.push(current);
  });
  return sections;
}

/** Arguments of a line as HAProxy takes them, without comment (configuration.txt 2.2). */
function argumentsOf(line: string): string[] {
  const part = /\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\#]/.source;
  const tokens = line.match(new RegExp(`(?:${part})+|#.*`, 'g')) ?? [];
  const comment = tokens.findIndex((token) => token.startsWith('#'));
  return (comment < 0 ? tokens : tokens.slice(0, comment)).map((token) =>
    token.replace(new RegExp(part, 'g'), (each) => {
      if (each.startsWith("'")) return each.slice(1, -1);
      if (each.startsWith('"')) return each.slice(1, -1).replace(/\\(["\\$])/g, '$1');
      return each.startsWith('\\') ? each.slice(1) : each;
    }),
  );
}

function asWritten(argument: string): string {
  return /^[^\s'"\\#]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** What a proxy starts from: the lines of its `defaults`, those that count for less first. */
export function defaultsOf(
  sections: readonly Section[],
  { line, from }: Section,
): { readonly line: number; readonly lines: readonly ConfigLine[] } | undefined {
  const own = sections.findLast(
    (section) =>
      section.kind === 'defaults' && section.line < line && (from === undefined || section.name === from),
  );
  if (own === undefined) return undefined;
  const before = own.from === undefined ? undefined : defaultsOf(sections, own);
  return { line: own.line, lines: [...(before?.lines ?? []), ...own.lines] };
}

/** Where the rules of a rendered section are in one at hand. */
export interface PlacedRules {
  readonly placed: readonly ConfigLine[];
  /** Those that are not there in this order, with the line behind which they belong. */
  readonly missing: readonly { readonly after: number; readonly words: string }[];
}

/** In their order, wherever they stand among others. */
export function placeRules(section: Section, rendered: Section | undefined): PlacedRules {
  const placed: ConfigLine[] = [];
  const missing: { after: number; words: string }[] = [];
  let at = 0;
  for (const { words } of rendered?.lines ?? []) {
    if (!isRule(words)) continue;
    const index = section.lines.findIndex((line, each) => each >= at && line.words === words);
    const found = section.lines[index];
    if (found === undefined) {
      missing.push({ after: section.lines[at - 1]?.number ?? section.line, words });
      continue;
    }
    placed.push(found);
    at = index + 1;
  }
  return { placed, missing };
}

/** What counts in its order. */
export function isRule(words: string): boolean {
  return /^(http-|tcp-request content |acl |use_backend |stick )/.test(words);
}
