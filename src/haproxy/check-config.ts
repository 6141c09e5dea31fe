import type { Plan } from '../domain/plan/schema.ts';
import { type ConfigProblem, placeRules, type Section, sectionsOf } from './config-sections.ts';
import { checkInnerMarks, checkMarks } from './check-marks.ts';
import { HANDED_OVER, handoverNeeds, SUCCESSOR } from './handover.ts';
import { innerMark, innerMarksIn, type InnerPlan, innerServicesOf } from './inner-rules.ts';
import { serversOf, slotId, slotName, TABLES } from './layout.ts';
import { checkOwnRules } from './own-rules.ts';
import { COUNTS_LINE, handedOver, renderConfig, rulePartsOf, transactionsLine } from './render.ts';
import { addressOf, addressText } from './server-address.ts';
import { unitTables } from './unit-tables.ts';

/** What a configuration lacks for upgrades of the plan, and what else in it undoes them; all other is its owner's. */
export function checkConfig(
  text: string,
  plan: Plan,
  /** Plans of services behind this one, for which it has to decide as well. */
  innerPlans: readonly InnerPlan[] = [],
): ConfigProblem[] {
  const sections = sectionsOf(text);
  const last = text.split('\n').length;
  const marksAtHand = innerMarksIn(text);
  const inner = inTheirOrder(innerPlans, marksAtHand);
  const frontend = routingFrontend(sections);
  const rendered = renderedFor(plan, frontend, inner);
  const marks = [
    ...checkMarks(sections, plan),
    ...checkInnerMarks(sections, innerServicesOf(inner), marksAtHand),
  ];
  return [
    ...checkGlobal(sections, last),
    ...marks,
    ...checkFrontend(sections, { frontend, rendered, service: plan.service, last }),
    ...checkSlots(sections, { rendered, plan, last }),
    ...checkTables(sections, plan, last),
    ...checkHandover(sections, plan, last),
    // Among rules that were written for another plan nobody knows which are the owner's.
    ...(frontend === undefined || marks.length > 0
      ? []
      : checkOwnRules({ sections, frontend, rendered, service: plan.service })),
  ].sort((a, b) => a.line - b.line);
}

/** The rules for services behind stand in the order in which they were named to `render`, as their marks do. */
function inTheirOrder(inner: readonly InnerPlan[], marks: ReadonlyMap<string, string>): InnerPlan[] {
  const names = [...marks.keys()];
  const at = ({ service }: InnerPlan): number => {
    const index = names.indexOf(innerMark(service));
    return index < 0 ? names.length : index;
  };
  return inner.toSorted((a, b) => at(a) - at(b));
}

function checkGlobal(sections: readonly Section[], last: number): ConfigProblem[] {
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
  return problems;
}

function routingFrontend(sections: readonly Section[]): Section | undefined {
  return sections.find(
    ({ kind, lines }) => kind === 'frontend' && lines.some(({ words }) => words.includes('(txn.go)')),
  );
}

/** All rules that `render` would write, in their order, and wherever they stand among others. */
function checkFrontend(
  sections: readonly Section[],
  parts: { frontend: Section | undefined; rendered: readonly Section[]; service: string; last: number },
): ConfigProblem[] {
  const { frontend, rendered, service, last } = parts;
  if (frontend === undefined)
    return [
      {
        line: sections.find(({ kind }) => kind === 'frontend')?.line ?? last,
        missing: `no frontend decides by the routes of ${service}`,
        write: 'take the frontend’s rules from `changeover haproxy render`',
      },
    ];
  return missingRules(frontend, rendered, service);
}

/** What would be rendered, with the maps where the rules at hand look for them. */
function renderedFor(plan: Plan, at: Section | undefined, inner: readonly InnerPlan[]): Section[] {
  const words = at?.lines.map((line) => line.words).join('\n') ?? '';
  const folder = /map_(?:int|str)\((\S*?)\/routes\.map\)/.exec(words)?.[1] ?? '/var/lib/changeover/haproxy';
  return sectionsOf(renderConfig(plan, { bind: ':0', socket: '-', files: folder, inner }));
}

function missingRules(section: Section, rendered: readonly Section[], as: string): ConfigProblem[] {
  const own = rendered.find(({ kind, name }) => kind === section.kind && name === as);
  return placeRules(section, own).missing.map(({ after, words }) => ({
    line: after,
    missing: 'after this line a rule is missing',
    write: words,
  }));
}

function checkSlots(
  sections: readonly Section[],
  { rendered, plan, last }: { rendered: readonly Section[]; plan: Plan; last: number },
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
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
