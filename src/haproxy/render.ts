import { LATENCY_BOUNDS_MS } from '../domain/measure.ts';
import { countingOf } from '../domain/decision/counting-of.ts';
import type { Plan } from '../domain/plan/schema.ts';
import { HAND_ON_SCRIPT, handOnScriptFile, handOnScriptLines } from './hand-on-script.ts';
import { HANDED_OVER, type HandedOver, handoverBinds, handoverGlobal, handoverSections } from './handover.ts';
import { innerMarkLines, type InnerPlan, innerRules, innerServicesOf } from './inner-rules.ts';
import {
  accountOf,
  AMOUNT_BITS,
  type Files,
  filesIn,
  MARKS,
  marksOf,
  type RuleParts,
  serversOf,
  slotId,
  slotName,
  TABLES,
} from './layout.ts';
import { slotRoutes } from './route-map.ts';
import { countingRules, endingRules, noteRules } from './count-rules.ts';
import { destinationRules, markOf, routingRules } from './rules.ts';
import { addressOf, addressText } from './server-address.ts';
import { checkOf, tlsTo } from './server-options.ts';
import { serverStateFile } from './server-states.ts';
import { hasStateScript, STATE_SCRIPT, stateScriptFile, stateScriptLines } from './state-script.ts';
import { stickRules, transactionsExpire } from './stick-rules.ts';
import { assignmentRules } from './unit-rules.ts';
import { unitTables } from './unit-tables.ts';

export interface RenderOptions {
  /** Where traffic comes in, as `bind` takes it. */
  readonly bind: string;
  /** Certificate for TLS at `bind`. */
  readonly tlsCert?: string;
  /** Address of the Runtime API, as `stats socket` takes it. */
  readonly socket: string;
  /** User and group of its processes that serve, and the folder that they are shut into; for a start by root. */
  readonly user?: string;
  readonly chroot?: string;
  /** Folder of the maps and of the server-state file, as HAProxy sees it. */
  readonly files: string;
  /** Where the Prometheus exporter listens. */
  readonly metrics?: string;
  /** Releases that can have servers at the same time; by default the plan's versions and one more. */
  readonly slots?: number;
  /** Writes what was decided, and the key, into W3C baggage for the services behind; nothing is written by default. */
  readonly context?: boolean;
  /** Plans of services behind this one, for which it decides as well; implies `context`. */
  readonly inner?: readonly InnerPlan[];
}

/** Milliseconds without a response after which the client gets 504, and without a byte after which it is cut off. */
const RESPONSE_TIMEOUT = '60s';
/** Of a number as text. */
const NUMBER_LENGTH = 20;
/** 200,000 rows of counters; each takes about 200 bytes. */
const COUNTS_LINE = `stick-table type string len ${NUMBER_LENGTH} size 200000 nopurge store http_req_cnt`;

function transactionsLine(idleMs: number): string {
  return `stick-table type string len 256 size 100k expire ${transactionsExpire(idleMs)}${HANDED_OVER}`;
}

export function rulePartsOf(plan: Plan): RuleParts {
  const { traffic, measure } = plan;
  return {
    key: traffic.key,
    policy: traffic.policy.kind,
    ...accountOf(traffic),
    transactions: traffic.transactions ?? null,
    measure,
    unit: countingOf(plan)?.unit ?? 'request',
  };
}

export function slotsFor(plan: Plan): number {
  // Baseline, candidates, and one for the version that comes next while the losers still have their slots.
  return plan.candidates.length + 2;
}

/** A complete haproxy.cfg for the plan. */
export function renderConfig(plan: Plan, options: RenderOptions): string {
  const files = filesIn(options.files);
  const parts = rulePartsOf(plan);
  const slots = options.slots ?? slotsFor(plan);
  return [
    ...globalSection(plan, options, files, parts),
    ...frontendSection(plan, options, files, parts),
    ...tableSections(parts),
    ...handoverSections(options, handedOver(parts)),
    ...Array.from({ length: slots }, (_, index) =>
      slotSection(plan, index + 1, slotRules(parts, files)),
    ).flat(),
  ].join('\n');
}

function globalSection(plan: Plan, options: RenderOptions, files: Files, parts: RuleParts): string[] {
  const marks = marksOf(parts);
  return [
    `# HAProxy for ${plan.service}, by \`changeover haproxy render\`. Which version gets which request is data: it is in the`,
    '# maps, which `changeover haproxy serve` beside this HAProxy keeps up to date without a reload.',
    'global',
    '    log stdout format raw local0 notice',
    ...userLines(options),
    '    # The Runtime API, by which routes are changed; a reload hands the listening sockets over.',
    `    stats socket ${options.socket}${ownerOf(options)} mode 660 level admin expose-fd listeners`,
    '    stats timeout 1d',
    '    # Keys differ from request to request: to look for each in a cache of matches costs more than to match it.',
    '    tune.pattern.cache-size 0',
    '    # Servers come back from a reload or a restart as they were: open, draining, or in maintenance.',
    `    server-state-file ${files.servers}`,
    '    # What the rules below were written for. `changeover haproxy check` and the companion compare it with the plan.',
    ...Object.entries(MARKS).map(
      ([name, variable]) => `    setenv ${variable} ${markOf(marks[name as keyof typeof MARKS])}`,
    ),
    ...(hasStateScript(serversOf(plan).length) ? stateScriptLines(options.files) : []),
    ...innerMarkLines(innerServicesOf(options.inner ?? [])),
    ...(handedOver(parts).transactions ? handOnScriptLines(options) : []),
    ...handoverGlobal(handedOver(parts)),
    '',
    'defaults',
    '    mode http',
    '    log global',
    '    timeout connect 3s',
    '    timeout client 75s',
    `    timeout server ${RESPONSE_TIMEOUT}`,
    '    timeout http-request 10s',
    '    timeout http-keep-alive 75s',
    '    # A reload closes an idle connection only after its next answer: no request runs into a closed one.',
    '    option idle-close-on-response',
    '    load-server-state-from-file global',
    '',
  ];
}

function userLines({ user, chroot }: RenderOptions): string[] {
  if (user === undefined && chroot === undefined) return [];
  return [
    '    # Maps and states are read before it is shut in, and its processes meet at abstract sockets, or inside of it.',
    ...(chroot === undefined ? [] : [`    chroot ${chroot}`]),
    ...(user === undefined ? [] : [`    user ${user}`, `    group ${user}`]),
  ];
}

/** Of the Runtime API's socket, which is made by root. At an address of TCP there is nothing to own. */
function ownerOf({ user, socket }: RenderOptions): string {
  return user === undefined || !/^(unix@|abns@)?\//.test(socket) ? '' : ` user ${user} group ${user}`;
}

function frontendSection(plan: Plan, options: RenderOptions, files: Files, parts: RuleParts): string[] {
  const tls =
    options.tlsCert === undefined
      ? [
          `    bind ${options.bind}`,
          '    # For TLS, render with `--tls-cert`: a reload hands on by TLS what came by TLS, which takes more than a bind.',
        ]
      : [`    bind ${options.bind} ssl crt ${options.tlsCert} alpn h2,http/1.1`];
  return [
    `frontend ${plan.service}`,
    ...tls,
    ...handoverBinds(options),
    '    # A request may be sent again only where that changes nothing.',
    '    http-request disable-l7-retry unless METH_GET or { method HEAD OPTIONS }',
    ...indented(['# Which release a key belongs to.', ...routingRules(parts, files)]),
    ...indented([
      '# What counts.',
      ...noteRules(parts),
      ...countingRules(parts, files),
      '# Where it goes.',
      ...destinationRules(parts, files, {
        service: plan.service,
        context: contextOf(options, files, parts),
        tls: options.tlsCert !== undefined,
      }),
    ]),
    '',
    ...(options.metrics === undefined
      ? []
      : [
          'frontend changeover_metrics',
          `    bind ${options.metrics}`,
          '    http-request use-service prometheus-exporter if { path /metrics }',
          '    no log',
          '',
        ]),
  ];
}

/** What is written for services behind this one besides what was decided for itself; null: nothing of the kind. */
function contextOf({ context, inner = [] }: RenderOptions, files: Files, parts: RuleParts): string[] | null {
  if (context !== true && inner.length === 0) return null;
  return innerRules(innerServicesOf(inner), { parts, files });
}

/** What a reload must not lose. */
function handedOver({ transactions, unit }: RuleParts): HandedOver {
  return { transactions: transactions !== null && transactions !== undefined, accounts: unit === 'account' };
}

function tableSections({ transactions, measure, unit }: RuleParts): string[] {
  return [
    `backend ${TABLES.counts}`,
    '    # `nopurge`: a full table refuses new rows rather than forget what was counted.',
    `    ${COUNTS_LINE}`,
    '',
    ...unitTables({ unit, measure }).flatMap(({ name, comment, line }) => [
      `backend ${name}`,
      `    # ${comment}`,
      `    ${line}`,
      '',
    ]),
    ...(measure.volume.amountHeader === undefined
      ? []
      : [
          `backend ${TABLES.amounts}`,
          `    stick-table type string len ${NUMBER_LENGTH} size 20k nopurge store gpc(${AMOUNT_BITS})`,
          '',
        ]),
    ...(transactions === null || transactions === undefined
      ? []
      : [
          // In this order they are handed over: what a transaction is counted as is known when it is.
          ...[TABLES.unallotted, TABLES.transactions, TABLES.ended].flatMap((name) => [
            `backend ${name}`,
            `    # Idle for longer than this, a transaction is over.`,
            `    ${transactionsLine(transactions.idleMs)}${name === TABLES.ended ? ' store gpt(1)' : ''}`,
            '',
          ]),
        ]),
  ];
}

/** What a slot's backend does with the requests that come to it. */
function slotRules(parts: RuleParts, files: Files): string[] {
  return [...endingRules(parts), ...assignmentRules(parts, files), ...stickRules(parts)];
}

function slotSection(plan: Plan, slot: number, rules: readonly string[]): string[] {
  const check = checkOf(serversOf(plan).length);
  return [
    `backend ${slotName(plan.service, slot)}`,
    `    id ${slotId(slot)}`,
    '    option forwardfor',
    '    balance leastconn',
    '    option redispatch 1',
    '    retry-on conn-failure empty-response',
    ...indented(rules),
    ...serversOf(plan).map(
      ({ id, name, url }) =>
        `    server ${name} ${addressText(addressOf(url))} id ${id} ${check}${tlsTo(url)}`,
    ),
    '',
  ];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `    ${line}`);
}

/** Files that HAProxy needs for its first start, before there are any routes: nobody is served by them. */
export function seedFiles(
  plan: Plan,
  options: Pick<RenderOptions, 'files' | 'slots' | 'inner'>,
): Map<string, string> {
  const files = filesIn(options.files);
  const slots = options.slots ?? slotsFor(plan);
  const [longest = 0] = [...LATENCY_BOUNDS_MS].reverse();
  const latency = [
    ...LATENCY_BOUNDS_MS.map((bound, i) => `${(LATENCY_BOUNDS_MS[i - 1] ?? -1) + 1}:${bound} ${i}`),
    `${longest + 1}:${2 ** 31} ${LATENCY_BOUNDS_MS.length}`,
  ];
  const servers = serversOf(plan).map(({ id, name, url }) => ({ id, name, address: addressOf(url) }));
  return new Map([
    [files.routes, linesOf(slotRoutes(new Map(), slots).map(([key, value]) => `${key} ${value}`))],
    [files.lookup, ''],
    ...(options.inner ?? []).map(({ service }): [string, string] => [files.inner(service), '']),
    [files.latency, linesOf(latency)],
    [files.digits, linesOf(Array.from({ length: 10 }, (_, digit) => `${digit} ${digit}`))],
    [files.servers, serverStateFile(plan.service, slots, servers, () => 'maint')],
    ...(handedOver(rulePartsOf(plan)).transactions
      ? ([[handOnScriptFile(options.files), HAND_ON_SCRIPT]] as const)
      : []),
    ...(hasStateScript(servers.length) ? ([[stateScriptFile(options.files), STATE_SCRIPT]] as const) : []),
  ]);
}

function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
