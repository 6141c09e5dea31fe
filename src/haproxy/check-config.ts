import type { Plan } from '../domain/plan/schema.ts';
import { type ConfigProblem, placeRules, type Section, sectionsOf } from './config-sections.ts';
import { HANDED_OVER, handoverNeeds, SUCCESSOR } from './handover.ts';
import { MARKS, marksOf, serversOf, slotId, slotName, TABLES } from './layout.ts';
import { checkOwnRules } from './own-rules.ts';
import { COUNTS_LINE, handedOver, renderConfig, rulePartsOf, transactionsLine } from './render.ts';
import { addressOf, addressText } from './server-address.ts';
import { unitTables } from './unit-tables.ts';

/** What a configuration lacks for upgrades of the plan, and what else in it undoes them; all other is its owner's. */
export function checkConfig(text: string, plan: Plan): ConfigProblem[] {
  const sections = sectionsOf(text);
  const last = text.split('\n').length;
  return [
    ...checkGlobal(sections, plan, last),
    ...checkFrontend(sections, plan, last),
    ...checkSlots(sections, plan, last),
    ...checkTables(sections, plan, last),
    ...checkHandover(sections, plan, last),
    ...checkOwners(sections, plan),
  ].sort((a, b) => a.line - b.line);
}

function checkGlobal(sections: readonly Section[], plan: Plan, last: number): ConfigProblem[] {
  const global = sections.find(({ kind }) => kind === 'global');
  if (global === undefined)
    return [
      {
        line: last,
        missing: 'there is no global section',
        write: 'take it from `changeover haproxy render`',
      },
    ];
  const problems: ConfigProblem[] = [];
  const socket = global.lines.find(({ words }) => words.startsWith('stats socket '));
  if (socket === undefined) {
    problems.push({
      line: global.line,
      missing: 'there is no Runtime API, by which routes are changed',
      write: 'stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners',
    });
  } else {
    for (const [part, why] of [
      ['level admin', 'servers and maps cannot be changed'],
      ['expose-fd listeners', 'a reload closes the listening sockets for a moment'],
    ] as const) {
      if (socket.words.includes(part)) continue;
      problems.push({
        line: socket.number,
        missing: `without \`${part}\` ${why}`,
        write: `${socket.words} ${part}`,
      });
    }
  }
  if (!global.lines.some(({ words }) => words.startsWith('server-state-file ')))
    problems.push({
      line: global.line,
      missing: 'after a reload all servers would be open again',
      write: 'server-state-file /var/lib/changeover/haproxy/servers.state',
    });
  if (!anywhere(sections, 'load-server-state-from-file global'))
    problems.push({
      line: sections.find(({ kind }) => kind === 'defaults')?.line ?? last,
      missing: 'the server-state file is not loaded',
      write: 'load-server-state-from-file global   (in `defaults`)',
    });
  if (!anywhere(sections, 'option idle-close-on-response'))
    problems.push({
      line: sections.find(({ kind }) => kind === 'defaults')?.line ?? last,
      missing: 'a reload may cut requests on idle connections',
      write: 'option idle-close-on-response   (in `defaults`)',
    });
  return [...problems, ...checkMarks(global, plan)];
}

/** The marks say which rules a configuration was rendered with; they differ where the plan has changed since. */
function checkMarks(global: Section, plan: Plan): ConfigProblem[] {
  const wanted = marksOf(rulePartsOf(plan));
  return (Object.keys(MARKS) as (keyof typeof MARKS)[]).flatMap((name) => {
    const line = global.lines.find(({ words }) => words.startsWith(`setenv ${MARKS[name]} `));
    const held = line?.words.split(' ')[2];
    if (held !== undefined && safelyDecoded(held) === wanted[name]) return [];
    return [
      {
        line: line?.number ?? global.line,
        missing: whatDiffers(name, held === undefined ? undefined : safelyDecoded(held), wanted[name]),
        write: `render the frontend anew with \`changeover haproxy render\`; it sets ${MARKS[name]}`,
      },
    ];
  });
}

function whatDiffers(name: keyof typeof MARKS, held: string | undefined, wanted: string): string {
  if (name === 'rules') return `another Changeover wrote the rules: version ${held ?? 0}, not ${wanted}`;
  if (held === undefined) return `nothing says for which ${name} the rules are`;
  return `the rules are for ${name} ${held}, the plan has ${wanted}`;
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function routingFrontend(sections: readonly Section[]): Section | undefined {
  return sections.find(
    ({ kind, lines }) => kind === 'frontend' && lines.some(({ words }) => words.includes('(txn.go)')),
  );
}

/** All rules that `render` would write, in their order, and wherever they stand among others. */
function checkFrontend(sections: readonly Section[], plan: Plan, last: number): ConfigProblem[] {
  const frontend = routingFrontend(sections);
  if (frontend === undefined)
    return [
      {
        line: sections.find(({ kind }) => kind === 'frontend')?.line ?? last,
        missing: `no frontend decides by the routes of ${plan.service}`,
        write: 'take the frontend’s rules from `changeover haproxy render`',
      },
    ];
  return missingRules(frontend, renderedFor(plan, frontend), plan.service);
}

/** What would be rendered, with the maps where the rules at hand look for them. */
function renderedFor(plan: Plan, at: Section | undefined): Section[] {
  const words = at?.lines.map((line) => line.words).join('\n') ?? '';
  const folder = /map_(?:int|str)\((\S*?)\/routes\.map\)/.exec(words)?.[1] ?? '/var/lib/changeover/haproxy';
  return sectionsOf(renderConfig(plan, { bind: ':0', socket: '-', files: folder }));
}

function missingRules(section: Section, rendered: readonly Section[], as: string): ConfigProblem[] {
  const own = rendered.find(({ kind, name }) => kind === section.kind && name === as);
  return placeRules(section, own).missing.map(({ after, words }) => ({
    line: after,
    missing: 'after this line a rule is missing',
    write: words,
  }));
}

/** Among rules that were written for another plan nobody knows which are the owner's. */
function checkOwners(sections: readonly Section[], plan: Plan): ConfigProblem[] {
  const global = sections.find(({ kind }) => kind === 'global');
  if (global === undefined || checkMarks(global, plan).length > 0) return [];
  const frontend = routingFrontend(sections);
  if (frontend === undefined) return [];
  return checkOwnRules({ sections, frontend, rendered: renderedFor(plan, frontend), service: plan.service });
}

function checkSlots(sections: readonly Section[], plan: Plan, last: number): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const rendered = renderedFor(plan, routingFrontend(sections));
  for (let slot = 1; slot <= plan.candidates.length + 1; slot += 1) {
    const name = slotName(plan.service, slot);
    const backend = sections.find((section) => section.kind === 'backend' && section.name === name);
    if (backend === undefined) {
      problems.push({
        line: last,
        missing: `there is no backend ${name}: each version that serves needs one`,
        write: `take it from \`changeover haproxy render\``,
      });
      continue;
    }
    if (!backend.lines.some(({ words }) => words === `id ${slotId(slot)}`))
      problems.push({
        line: backend.line,
        missing: 'the backend has no fixed id: the server-state file would not find it',
        write: `id ${slotId(slot)}`,
      });
    problems.push(...missingRules(backend, rendered, name));
    for (const server of serversOf(plan)) {
      const address = addressText(addressOf(server.url));
      const line = backend.lines.find(({ words }) => words.startsWith(`server ${server.name} `));
      const write = `server ${server.name} ${address} id ${server.id} check inter 1s fall 2 rise 1`;
      if (line === undefined)
        problems.push({ line: backend.line, missing: `the server ${server.name} is missing`, write });
      else if (!line.words.startsWith(`server ${server.name} ${address} id ${server.id}`))
        problems.push({
          line: line.number,
          missing: `the server ${server.name} has another address or id than the plan gives it`,
          write,
        });
      else if (/ disabled\b/.test(line.words))
        problems.push({ line: line.number, missing: '`disabled` wins over the server-state file', write });
    }
  }
  return problems;
}

function checkTables(sections: readonly Section[], plan: Plan, last: number): ConfigProblem[] {
  const parts = rulePartsOf(plan);
  const { transactions, measure } = parts;
  const needed: [name: string, write: string][] = [
    [TABLES.counts, COUNTS_LINE],
    ...unitTables(parts).map(({ name, line }): [string, string] => [name, line]),
    ...(measure.volume.amountHeader === undefined
      ? []
      : ([[TABLES.amounts, 'take it from `changeover haproxy render`']] as [string, string][])),
    ...(transactions === null || transactions === undefined
      ? []
      : ([TABLES.unallotted, TABLES.transactions, TABLES.ended].map((name) => [
          name,
          transactionsLine(transactions.idleMs),
        ]) as [string, string][])),
  ];
  return needed.flatMap(([name, write]) => {
    const found = sections.some((section) => section.kind === 'backend' && section.name === name);
    return found
      ? []
      : [{ line: last, missing: `there is no table ${name}`, write: `backend ${name}: ${write}` }];
  });
}

const TAKE_IT = 'take it from `changeover haproxy render`, and its `bind abns@…` in the frontend too';

/** Without it, a reload would leave requests to old routes, and cut transactions. */
function checkHandover(sections: readonly Section[], plan: Plan, last: number): ConfigProblem[] {
  const what = handedOver(rulePartsOf(plan));
  if (!what.transactions && !what.accounts) {
    const found = sections.some(({ kind, name }) => kind === 'backend' && name === SUCCESSOR);
    if (found) return [];
    const missing = `without \`backend ${SUCCESSOR}\` a reload would leave requests to old routes`;
    return [{ line: last, missing, write: TAKE_IT }];
  }
  const global = sections.find(({ kind }) => kind === 'global');
  const why = what.transactions ? 'a reload would cut transactions' : 'a reload would forget accounts';
  const needs = handoverNeeds(what);
  const handed: readonly string[] = [TABLES.unallotted, TABLES.transactions, TABLES.ended, TABLES.accounts];
  const tables = sections.filter(({ name }) => handed.includes(name));
  return [
    ...needs.global
      .filter((words) => !global?.lines.some((line) => line.words.startsWith(words)))
      .map((words) => ({
        line: global?.line ?? last,
        missing: `without \`${words.trim()}\` ${why}`,
        write: words === 'localpeer ' ? 'localpeer local' : words,
      })),
    ...needs.sections
      .filter(([kind, name]) => !sections.some((section) => section.kind === kind && section.name === name))
      .map(([kind, name]) => ({
        line: last,
        missing: `without \`${kind} ${name}\` ${why}`,
        write: TAKE_IT,
      })),
    ...tables
      .flatMap(({ lines }) => lines.filter(({ words }) => words.startsWith('stick-table ')))
      .filter(({ words }) => !words.includes(HANDED_OVER))
      .map(({ number, words }) => ({
        line: number,
        missing: `without \`${HANDED_OVER.trim()}\` ${why}`,
        write: `${words}${HANDED_OVER}`,
      })),
  ];
}

function anywhere(sections: readonly Section[], words: string): boolean {
  return sections.some(({ lines }) => lines.some((line) => line.words === words));
}
