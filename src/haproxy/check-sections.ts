import {
  type ConfigLine,
  type ConfigProblem,
  defaultsOf,
  isRule,
  placeRules,
  type Section,
} from './config-sections.ts';
import { checkSettings, isSetting, type Pair } from './check-settings.ts';
import { OWN_SOCKET } from './hand-on-script.ts';
import { checkServer } from './server-line.ts';
import { checkTable } from './table-line.ts';

/** What is rendered, and may well be otherwise or missing in a configuration of somebody's own. */
const OWNERS = [
  // Logging, and what else only its owner sees.
  /^(no )?log /,
  /^no log$/,
  /^stats timeout /,
  /^option forwardfor/,
  // How long clients and servers may take, and which server is chosen.
  /^timeout /,
  /^balance /,
  // Where clients come in; processes of HAProxy meet at abstract sockets.
  /^bind (?!abns@)/,
  // With the owner's certificate: checked beside where TLS ends.
  /^bind abns@.* ssl /,
  // The first makes it faster; of rules whose script is not loaded HAProxy itself says so.
  /^tune\.pattern\.cache-size /,
  /^(\.if|\.endif|lua-load)\b/,
];
/** Compared as marks. */
const MARK = /^setenv /;

const TAKE_IT = 'take it from `changeover haproxy render`';
const HANDOVER = 'a reload would cut transactions, or leave requests to old routes';

/** Whether a configuration has what is rendered for it, section by section; what it has beside that is its owner's. */
export function checkSections(
  sections: readonly Section[],
  rendered: readonly Section[],
  routing: Section | undefined,
): ConfigProblem[] {
  const last = Math.max(0, ...sections.flatMap(({ line, lines }) => [line, lines.at(-1)?.number ?? 0]));
  return rendered.flatMap((wanted): ConfigProblem[] => {
    // Which of its `defaults` holds for a proxy is asked for each setting.
    if (wanted.kind === 'defaults') return [];
    const held =
      wanted.kind === 'frontend'
        ? routing
        : sections.find(({ kind, name }) => kind === wanted.kind && name === wanted.name);
    if (held === undefined) return [missingSection(wanted, sections, last)];
    const pair = { held, rendered: wanted };
    return [
      ...checkLines(pair, sections),
      ...checkSettings(pair, sections, rendered),
      ...placeRules(held, wanted).missing.map(({ after, words }) => ({
        line: after,
        missing: 'after this line a rule is missing',
        write: words,
      })),
    ];
  });
}

function missingSection(
  { kind, name, lines }: Section,
  sections: readonly Section[],
  last: number,
): ConfigProblem {
  if (kind === 'global') return { line: last, missing: 'there is no global section', write: TAKE_IT };
  if (kind === 'frontend') {
    const line = sections.find((section) => section.kind === kind)?.line ?? last;
    const missing = `no frontend decides by the routes of ${name}`;
    return { line, missing, write: 'take the frontend’s rules from `changeover haproxy render`' };
  }
  const [table] = lines.filter(({ words }) => words.startsWith('stick-table '));
  if (table !== undefined)
    return { line: last, missing: `there is no table ${name}`, write: `backend ${name}: ${table.words}` };
  if (lines.some(({ words }) => words.startsWith('id ')))
    return {
      line: last,
      missing: `there is no backend ${name}: each version that serves needs one`,
      write: TAKE_IT,
    };
  return { line: last, missing: `without \`${kind} ${name}\` ${HANDOVER}`, write: TAKE_IT };
}

function checkLines({ held, rendered }: Pair, sections: readonly Section[]): ConfigProblem[] {
  return rendered.lines.flatMap(({ words }): ConfigProblem[] => {
    if (words.startsWith(OWN_SOCKET_LINE)) return checkOwnSocket(held);
    if (isRule(words) || isSetting(words) || MARK.test(words) || OWNERS.some((of) => of.test(words)))
      return [];
    if (words.startsWith('stats socket ')) return checkRuntimeApi(held, words);
    if (words.startsWith('stick-table ')) return checkTable(held, words);
    if (words.startsWith('server ')) return checkServer(held, words, defaultsOf(sections, held)?.lines ?? []);
    return checkLine(held, words);
  });
}

const OWN_SOCKET_LINE = `setenv ${OWN_SOCKET} `;

/** Its address is the owner's to choose. */
function checkOwnSocket(global: Section): ConfigProblem[] {
  const chroot = valueOf(global, 'chroot ') ?? '';
  const line = global.lines.find(({ words }) => words.startsWith(OWN_SOCKET_LINE));
  const address = line?.words.slice(OWN_SOCKET_LINE.length) ?? '';
  const isThere = global.lines.some(({ words }) => {
    const [, , at = ''] = words.split(' ');
    const reached = at.replace(/^(?:unix|ipv[46])@/, '');
    return (
      words.startsWith('stats socket ') &&
      (chroot === '' || words.includes(' level admin')) &&
      reached === `${chroot}${address}`
    );
  });
  if (line !== undefined && isThere) return [];
  const inside =
    chroot === ''
      ? 'the address of a `stats socket … level admin`'
      : `the address, inside of ${chroot}, of a \`stats socket … level admin\` there`;
  const missing = `without \`${OWN_SOCKET_LINE.trim()}\` and an admin socket that HAProxy itself reaches there ${HANDOVER}`;
  return [
    {
      line: line?.number ?? global.line,
      missing,
      write: `${OWN_SOCKET_LINE}… (${inside}), before \`lua-load\``,
    },
  ];
}

function valueOf({ lines }: Section, start: string): string | undefined {
  return lines.find(({ words }) => words.startsWith(start))?.words.slice(start.length);
}

/** By one socket of several. */
function checkRuntimeApi(global: Section, rendered: string): ConfigProblem[] {
  const sockets = global.lines.filter(({ words }) => words.startsWith('stats socket '));
  const [first] = sockets;
  if (first === undefined)
    return [
      {
        line: global.line,
        missing: 'there is no Runtime API, by which routes are changed',
        write: rendered,
      },
    ];
  const needed = [
    ['level admin', 'servers and maps cannot be changed'],
    ['expose-fd listeners', 'a reload closes the listening sockets for a moment'],
  ] as const;
  const lackingOf = ({ words }: ConfigLine) => needed.filter(([part]) => !words.includes(` ${part}`));
  // One of them has to do all of it; that by which late transactions are handed on is another.
  const best = sockets.reduce((a, b) => (lackingOf(b).length < lackingOf(a).length ? b : a), first);
  return lackingOf(best).map(([part, why]) => ({
    line: best.number,
    missing: `without \`${part}\` ${why}`,
    write: `${best.words} ${part}`,
  }));
}

/** As it is rendered, wherever it stands in the section. */
function checkLine(section: Section, rendered: string): ConfigProblem[] {
  if (section.lines.some(({ words }) => words === rendered)) return [];
  const kind = KINDS.find((each) => each.test(rendered));
  const other = kind === undefined ? undefined : section.lines.find(({ words }) => kind.test(words));
  const missing = whyOf(rendered);
  if (other === undefined) return [{ line: section.line, missing, write: rendered }];
  return [
    { line: other.number, missing: `${missing}; \`${other.words}\` is something else`, write: rendered },
  ];
}

/** Lines of which a section has one. */
const KINDS = [
  /^id /,
  /^server-state-file /,
  /^localpeer /,
  /^set-var proc\.started /,
  /^bind abns@/,
  /^peer /,
  /^tcp-request inspect-delay /,
];

function whyOf(words: string): string {
  if (words.startsWith('id ')) return 'the backend has no fixed id: the server-state file would not find it';
  if (words.startsWith('server-state-file '))
    return 'after a reload all servers would be open again: the companion keeps their states elsewhere';
  return `without \`${words}\` ${HANDOVER}`;
}
