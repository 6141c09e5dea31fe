import type { ConfigProblem, Section } from './config-sections.ts';

/** A `stick-table` line by its parts (configuration.txt 4.2); a part without value is there, and empty. */
type TableParts = ReadonlyMap<string, string>;

const WITH_VALUE = ['type', 'len', 'size', 'expire', 'peers', 'store', 'write-to', 'srvkey'];

function partsOf(words: string): TableParts {
  const parts = new Map<string, string>();
  const list = words.split(' ').slice(1);
  for (let index = 0; index < list.length; index += 1) {
    const word = list[index] ?? '';
    if (!WITH_VALUE.includes(word)) {
      parts.set(word, '');
      continue;
    }
    index += 1;
    const value = list[index] ?? '';
    const before = parts.get(word);
    parts.set(word, word === 'store' && before !== undefined ? `${before},${value}` : value);
  }
  return parts;
}

/** What differs from the rendered line: a table may be larger, and store more, and nothing else. */
export function checkTable(section: Section, rendered: string): ConfigProblem[] {
  const line = section.lines.find(({ words }) => words.startsWith('stick-table '));
  if (line === undefined)
    return [{ line: section.line, missing: `the table ${section.name} is missing`, write: rendered }];
  const [held, wanted] = [partsOf(line.words), partsOf(rendered)];
  return [...new Set([...wanted.keys(), ...held.keys()])]
    .filter((part) => !fits(part, held.get(part), wanted.get(part)))
    .map((part) => ({
      line: line.number,
      missing: `the table ${section.name} has ${written(part, held)}; it needs ${written(part, wanted)}`,
      write: rendered,
    }));
}

function written(part: string, parts: TableParts): string {
  const value = parts.get(part);
  return value === undefined ? `no \`${part}\`` : `\`${`${part} ${value}`.trim()}\``;
}

function fits(part: string, held: string | undefined, wanted: string | undefined): boolean {
  if (held === undefined || wanted === undefined) return held === wanted;
  switch (part) {
    case 'len':
      return Number(held) >= Number(wanted);
    case 'size':
      return sizeOf(held) >= sizeOf(wanted);
    case 'expire':
      return millisecondsOf(held) === millisecondsOf(wanted);
    case 'store': {
      const stored = new Map(held.split(',').map(stockOf));
      return wanted
        .split(',')
        .map(stockOf)
        .every(([what, count]) => (stored.get(what) ?? 0) >= count);
    }
    default:
      return held === wanted;
  }
}

/** `gpc(6)`: six of them. */
function stockOf(stored: string): readonly [what: string, count: number] {
  const [, what = '', count] = /^([^()]+)(?:\((\d+)\))?$/.exec(stored) ?? [];
  return [what, Number(count ?? 1)];
}

function sizeOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([kmg]?)$/i.exec(text) ?? [];
  return Number(digits) * 1_024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
}

const UNIT_MS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Of a duration as HAProxy takes it (configuration.txt 2.5). */
function millisecondsOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)(ms|[smhd]?)$/.exec(text) ?? [];
  return digits === '' ? Number.NaN : Number(digits) * (UNIT_MS[unit] ?? Number.NaN);
}
