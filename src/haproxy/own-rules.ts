import {
  type ConfigLine,
  type ConfigProblem,
  defaultsOf,
  placeRules,
  type Section,
} from './config-sections.ts';
import { slotNumber } from './layout.ts';

/**
 * What the owner of a configuration wrote beside the rendered rules, as far as it cannot do what it says there, or undoes
 * what an upgrade needs.
 */
interface Owned {
  readonly section: Section;
  /** Rendered rules that were found in the section. */
  readonly rendered: readonly ConfigLine[];
  /** All other lines. */
  readonly own: readonly ConfigLine[];
}

/** Counters that HAProxy has unless it is told otherwise (`tune.stick-counters`). */
const COUNTERS = [0, 1, 2] as const;

/** @param rendered - what `changeover haproxy render` writes for the plan. */
export function checkOwnRules({
  sections,
  frontend,
  rendered,
  service,
}: {
  sections: readonly Section[];
  frontend: Section;
  rendered: readonly Section[];
  service: string;
}): ConfigProblem[] {
  const isSlot = (name: string): boolean =>
    slotNumber(service, name) !== null && rendered.some((section) => section.name === name);
  // All slots have the same rules.
  const [slot, routing] = [
    rendered.find(({ kind, name }) => kind === 'backend' && isSlot(name)),
    rendered.find(({ kind, name }) => kind === 'frontend' && name === service),
  ];
  const entry = ownedOf(frontend, routing);
  const slots = sections
    .filter(({ kind, name }) => kind === 'backend' && isSlot(name))
    .map((section) => ownedOf(section, slot));
  const defaults = sections.filter(({ kind }) => kind === 'defaults').map((each) => ownedOf(each, undefined));
  const renderedLines = [routing, slot].flatMap((section) => section?.lines ?? []);
  return [
    ...[entry, ...slots].flatMap(checkOrder),
    ...[entry, ...slots, ...defaults].flatMap(({ own }) => [
      ...checkNames(own, renderedLines),
      ...checkCounters(own, renderedLines),
    ]),
    ...checkEntry(entry),
    ...checkByPasses(sections, frontend, isSlot),
    ...slots.flatMap((each) => checkSlot(each, sections)),
  ];
}

function ownedOf(section: Section, rendered: Section | undefined): Owned {
  const { placed } = placeRules(section, rendered);
  return { section, rendered: placed, own: section.lines.filter((line) => !placed.includes(line)) };
}

/** An `allow` ends the rules of its kind and section. */
function checkOrder({ section, rendered, own }: Owned): ConfigProblem[] {
  return (['http-request', 'http-response'] as const).flatMap((kind) => {
    const ofKind = (lines: readonly ConfigLine[]): ConfigLine[] =>
      lines.filter(({ words }) => words.startsWith(`${kind} `));
    const isAllow = ({ words }: ConfigLine): boolean => words.startsWith(`${kind} allow`);
    const ours = ofKind(rendered);
    const [first, last, end] = [ours[0], ours.at(-1), ours.find(isAllow)];
    if (first === undefined || last === undefined) return [];
    // What is not for this service may leave the frontend before any of its rules.
    const mayLeave = section.kind === 'frontend' && kind === 'http-request';
    const leaves = ({ number, words }: ConfigLine): boolean =>
      mayLeave && number < first.number && / (if|unless) /.test(words);
    return ofKind(own).flatMap((line): ConfigProblem[] => {
      const { number, words } = line;
      if (isAllow(line)) {
        if (number > last.number || leaves(line)) return [];
        const missing = `\`${words}\` ends the rules before line ${last.number}: what it lets through is not decided or counted as it has to be`;
        const write = mayLeave
          ? `move it before line ${first.number}, with a condition`
          : 'leave it out, and give the rules that it spares a condition of their own';
        return [{ line: number, missing, write }];
      }
      if (end === undefined || number < end.number) return [];
      const missing = `\`${words}\` is skipped wherever line ${end.number} (\`${end.words}\`) ends the rules`;
      return [{ line: number, missing, write: `move it before line ${end.number}` }];
    });
  });
}

/** Variables of the rendered rules are theirs alone. */
function checkNames(own: readonly ConfigLine[], rendered: readonly ConfigLine[]): ConfigProblem[] {
  const set = /\b(?:un)?set-var(?:-fmt)?\(((?:txn|proc)\.\w+)[,)]/g;
  const namesIn = ({ words }: ConfigLine): string[] => [...words.matchAll(set)].map(([, name = '']) => name);
  const taken = new Set(rendered.flatMap(namesIn));
  return own.flatMap((line) =>
    namesIn(line)
      .filter((name) => taken.has(name))
      .map((name) => ({
        line: line.number,
        missing: `\`${line.words}\` changes ${name}, by which the routes are executed`,
        write: `take another name than ${name}`,
      })),
  );
}

/** A request that is tracked by a counter already is not tracked by it again. */
function checkCounters(own: readonly ConfigLine[], rendered: readonly ConfigLine[]): ConfigProblem[] {
  const countersIn = ({ words }: ConfigLine): number[] =>
    [...words.matchAll(/\btrack-sc(\d+) /g)].map(([, counter]) => Number(counter));
  const taken = new Set(rendered.flatMap(countersIn));
  const free = COUNTERS.find((counter) => !taken.has(counter));
  return own.flatMap((line) =>
    countersIn(line)
      .filter((counter) => taken.has(counter))
      .map((counter) => ({
        line: line.number,
        missing: `\`${line.words}\` takes the counter sc${counter}, so that requests are not counted for the upgrade`,
        write:
          free === undefined
            ? 'track it in a proxy before this one, or by a further counter (`tune.stick-counters`, HAProxy 2.8 and newer)'
            : line.words.replace(`track-sc${counter}`, `track-sc${free}`),
      })),
  );
}

function checkEntry({ rendered, own }: Owned): ConfigProblem[] {
  const way = rendered.findLast(({ words }) => words.startsWith('use_backend '));
  return own.flatMap(({ number, words }): ConfigProblem[] => {
    if (way === undefined || number < way.number || !words.startsWith('use_backend ')) return [];
    return [
      {
        line: number,
        missing: `\`${words}\` is never looked at: line ${way.number} holds for all requests`,
        write: `move it before line ${way.number}`,
      },
    ];
  });
}

/** Ways to a slot of a version that lead past the decision. */
function checkByPasses(
  sections: readonly Section[],
  frontend: Section,
  isSlot: (name: string) => boolean,
): ConfigProblem[] {
  const entries = sections.filter(({ kind }) => kind === 'frontend' || kind === 'listen');
  return entries.flatMap((section) =>
    section.lines.flatMap(({ number, words }) => {
      const [, way, name = ''] = /^(use_backend|default_backend) (\S+)/.exec(words) ?? [];
      // Of the frontend that decides, where there are no routes yet.
      if (way === undefined || !isSlot(name) || (section === frontend && way === 'default_backend'))
        return [];
      return [
        {
          line: number,
          missing: `\`${words}\` leads requests to a version past the routes`,
          write: `send them through the frontend ${frontend.name}`,
        },
      ];
    }),
  );
}

function checkSlot({ section, own }: Owned, sections: readonly Section[]): ConfigProblem[] {
  const defaults = defaultsOf(sections, section);
  /** Lines of the section, or else those that it inherits. */
  const effective = (pattern: RegExp): readonly ConfigLine[] => {
    const here = own.filter(({ words }) => pattern.test(words));
    return here.length > 0 ? here : (defaults?.lines.filter(({ words }) => pattern.test(words)) ?? []);
  };
  const hasCookies = own.some(({ words }) => /^server .* cookie /.test(words));
  const sticking = [
    ...own.filter(({ words }) => /^(stick (on|match)|use-server) /.test(words)),
    ...effective(/^cookie /).filter(({ words }) => hasCookies || words.includes(' dynamic')),
  ];
  const forced = [
    ...own.filter(({ words }) => words.startsWith('force-persist ')),
    ...effective(/^(no )?option persist$/).filter(({ words }) => words === 'option persist'),
  ];
  return [
    ...sticking.map(said('a server that drains would still be given new business')),
    ...forced.map(said('a server would get requests while it is closed')),
  ];
}

function said(why: string): (line: ConfigLine) => ConfigProblem {
  return ({ number, words }) => ({
    line: number,
    missing: `by \`${words}\` ${why}`,
    write: 'leave it out',
  });
}
