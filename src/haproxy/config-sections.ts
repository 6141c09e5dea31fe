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
  /** Without comment, and with single spaces. */
  readonly words: string;
}

export interface Section {
  readonly kind: string;
  readonly name: string;
  readonly line: number;
  readonly lines: ConfigLine[];
}

const SECTION =
  /^(global|defaults|frontend|backend|listen|peers|resolvers|userlist|program|ring|cache)\b\s*(\S*)/;

/** The sections of a haproxy.cfg. */
export function sectionsOf(text: string): Section[] {
  const sections: Section[] = [];
  text.split('\n').forEach((raw, index) => {
    const words = raw
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .replace(/\s+/g, ' ');
    if (words === '') return;
    const start = SECTION.exec(words);
    if (start !== null && !/^\s/.test(raw)) {
      sections.push({ kind: start[1] ?? '', name: start[2] ?? '', line: index + 1, lines: [] });
    } else {
      sections.at(-1)?.lines.push({ number: index + 1, words });
    }
  });
  return sections;
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
    if (!/^(http-|acl |use_backend |stick )/.test(words)) continue;
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
