import { type ConfigLine, type ConfigProblem, defaultsOf, type Section } from './config-sections.ts';

/** A section of the configuration at hand, with what is rendered for it. */
export interface Pair {
  readonly held: Section;
  readonly rendered: Section;
}

/** What holds for a proxy by its last line of the kind, its own or else one of its `defaults`. */
interface Setting {
  readonly lines: RegExp;
  /** Proxies that need it, of those for which it is rendered. */
  readonly of: (rendered: Section) => boolean;
  readonly fits: (held: string, wanted: string) => boolean;
  readonly why: string;
}

const same = (held: string, wanted: string): boolean => held === wanted;
const isFrontend = ({ kind }: Section): boolean => kind === 'frontend';
const isSlot = ({ lines }: Section): boolean => lines.some(({ words }) => words.startsWith('id '));
const hasTraffic = ({ lines }: Section): boolean => lines.some(({ words }) => /^(server|bind) /.test(words));

/** Of `retry-on`: what is no answer of the server, so that nothing is counted twice or not at all. */
const WITHOUT_ANSWER = ['conn-failure', 'empty-response', '0rtt-rejected'];

const SETTINGS: readonly Setting[] = [
  {
    lines: /^mode /,
    of: hasTraffic,
    fits: same,
    why: 'its traffic would not pass: the mode has to be the rendered one',
  },
  {
    lines: /^(no )?option idle-close-on-response$/,
    of: isFrontend,
    fits: same,
    why: 'a reload may cut requests on idle connections',
  },
  {
    lines: /^load-server-state-from-file /,
    of: isSlot,
    fits: same,
    why: 'the server-state file is not loaded: after a reload all servers would be open again',
  },
  {
    lines: /^(no )?option redispatch\b/,
    of: isSlot,
    fits: (held) => /^option redispatch( -?[1-9]\d*)?$/.test(held),
    why: 'a request would not go to another server when its own has just ended',
  },
  {
    lines: /^retry-on /,
    of: isSlot,
    fits: (held, wanted) =>
      wanted.split(' ').every((what) => held.split(' ').includes(what)) &&
      held
        .split(' ')
        .slice(1)
        .every((what) => WITHOUT_ANSWER.includes(what)),
    why: 'a request would be lost when its server has just ended, or bad answers would be asked for again, and no guardrail would see them',
  },
];

/** What must not hold for any rendered proxy, by the last line of the kind. */
const FORBIDDEN: readonly Omit<Setting, 'fits'>[] = [
  { lines: /^(disabled|enabled)$/, of: () => true, why: 'the section is switched off' },
  { lines: /^retries /, of: isSlot, why: 'no request would go to another server' },
];
const FORBIDDEN_WORDS = ['disabled', 'retries 0'];

export function isSetting(words: string): boolean {
  return SETTINGS.some(({ lines }) => lines.test(words));
}

/** Settings that a proxy may have from its `defaults`, which the owner of a configuration shares among proxies. */
export function checkSettings(
  { held, rendered }: Pair,
  sections: readonly Section[],
  renderedSections: readonly Section[],
): ConfigProblem[] {
  const [defaults, renderedDefaults] = [defaultsOf(sections, held), defaultsOf(renderedSections, rendered)];
  const last = (lines: readonly ConfigLine[] | undefined, of: RegExp): ConfigLine | undefined =>
    lines?.findLast(({ words }) => of.test(words));
  const needed = SETTINGS.filter(({ of }) => of(rendered)).flatMap(
    ({ lines, fits, why }): ConfigProblem[] => {
      const own = last(rendered.lines, lines);
      const wanted = (own ?? last(renderedDefaults?.lines, lines))?.words;
      if (wanted === undefined) return [];
      const [here, inherited] = [last(held.lines, lines), last(defaults?.lines, lines)];
      const found = here ?? inherited;
      if (found === undefined)
        return own === undefined
          ? [{ line: defaults?.line ?? held.line, missing: why, write: `${wanted}   (in \`defaults\`)` }]
          : [{ line: held.line, missing: `without \`${wanted}\` ${why}`, write: wanted }];
      if (fits(found.words, wanted)) return [];
      const isNeedless = here !== undefined && inherited !== undefined && fits(inherited.words, wanted);
      const missing = `by \`${found.words}\` ${why}`;
      return [{ line: found.number, missing, write: isNeedless ? 'leave it out' : wanted }];
    },
  );
  const forbidden = FORBIDDEN.filter(({ of }) => of(rendered)).flatMap(({ lines, why }): ConfigProblem[] => {
    const found = last(held.lines, lines) ?? last(defaults?.lines, lines);
    return found === undefined || !FORBIDDEN_WORDS.includes(found.words)
      ? []
      : [{ line: found.number, missing: `by \`${found.words}\` ${why}`, write: 'leave it out' }];
  });
  return [...needed, ...forbidden];
}
