import { join } from 'node:path';
import type { Plan } from '../domain/plan/schema.ts';
import { dealtGroups } from '../domain/policy/groups.ts';
import type { KeySource, TrafficPolicy } from '../domain/policy/policy.ts';
import type { TrialCounting } from '../domain/routes/table.ts';
import { serverNumbers } from './server-numbers.ts';

/**
 * What the rendered configuration and the companion have to agree on: names, numbers, files. Every release that serves
 * has a *slot*, a backend with all servers of the service; a server is usable in the slot of the release that it runs and
 * in maintenance in all others. So a release is entered and left by server states alone, which needs no reload.
 */

/** Where packages of HAProxy have its Runtime API, and where its maps are kept. */
export const DEFAULT_SOCKET = '/run/haproxy/admin.sock';
export const DEFAULT_FILES = '/var/lib/changeover/haproxy';

/** Backend of a slot, counted from 1. */
export function slotName(service: string, slot: number): string {
  return `${service}_${slot}`;
}

/** HAProxy's id of a slot's backend: forced, so that a server-state file finds it again. */
export function slotId(slot: number): number {
  return 1_000 + slot;
}

/** Number of the slot whose backend would have this name; null where it is none of the service's. */
export function slotNumber(service: string, backend: string): number | null {
  const start = `${service}_`;
  const number = backend.startsWith(start) ? backend.slice(start.length) : '';
  return /^[1-9]\d*$/.test(number) ? Number(number) : null;
}

/** Whether a backend of an HAProxy is a slot of the service: one of its owner may be named alike, but has another id. */
export function isSlot(
  service: string,
  { backend, backendId }: { readonly backend: string; readonly backendId: number },
): boolean {
  const slot = slotNumber(service, backend);
  return slot !== null && backendId === slotId(slot);
}

/** Backends that hold nothing but a stick table. */
export const TABLES = {
  /** Key by `COUNT_KEY` → `http_req_cnt`, one more for each answered request. */
  counts: 'changeover_counts',
  /** Key by `AMOUNT_KEY` → amount of the transaction volume in binary, digit i in `gpc(i)`. */
  amounts: 'changeover_amounts',
  /** Id of a transaction that the policy sent where it began → server, for as long as it is not idle. */
  transactions: 'changeover_transactions',
  /** The same of those that came there otherwise. */
  unallotted: 'changeover_unallotted',
  /** Ids of transactions of which a server said that they are over. */
  ended: 'changeover_ended',
  /** Key `moment:table version:release` → units of the trial in `http_req_cnt`, their outcomes by `UNIT_DIGITS`. */
  units: 'changeover_units',
  /** Account of a trial, as a hash → when and on which release it entered, and its requests since, by `ACCOUNT_TAGS` and `ACCOUNT_COUNTS`. */
  accounts: 'changeover_accounts',
} as const;

/** How an exchange ended, as a number: the class of its latency, which is less than `slow`, and these for what else holds. */
export const ENDING = { slow: 16, statusClass: 32, allocated: 512, volume: 1_024, all: 2_048 } as const;

/**
 * What is decided for a request, as a number: whatever is compared or kept for each request is one, since HAProxy copies
 * text wherever it keeps it. From the lowest bit on: the number of release and bucket (`DecisionNumbers`), and these.
 */
export const GO = {
  /** Of the number of release and bucket, in a transaction that began otherwise than by the policy. */
  otherwise: 2 ** 31,
  number: 2 ** 32 - 1,
  /** The policy did not allot it. */
  unallotted: 2 ** 32,
  /** … since nobody of the version takes any (`isTurnedAway`). */
  turnedAway: 2 ** 33,
  /** While a stage holds keys back: one more than the slot of a second hash from which on it does. */
  open: 2 ** 34,
  openMost: 2 ** 14 - 1,
  /** Slot of the release. */
  slot: 2 ** 48,
} as const;
/** Bucket of a transaction that goes on where it began. */
export const TRANSACTION = 'transaction';
/** Keys of what is counted: an `ENDING`, and from these on the number of release and bucket, and HAProxy's of the server. */
export const COUNT_KEY = { number: ENDING.all, server: ENDING.all * 2 ** 32 } as const;
/** The same of amounts, with 1 for those below zero first, and 2 for what cannot be read, which `gpc(0)` counts. */
export const AMOUNT_KEY = { belowZero: 1, unread: 2, number: 4, server: 4 * 2 ** 32 } as const;

/**
 * Keys of the routes map that stand for no key of a client. They are numbers beyond all that policies use, so that the
 * same file can be searched as text (values) and as ranges of integers (all others).
 */
export const SPECIAL = {
  noKey: '9000000000000000001',
  miss: '9000000000000000002',
  heldBack: '9000000000000000003',
  refuge: '9000000000000000004',
  secondRefuge: '9000000000000000005',
  policySalt: '9000000000000000006',
  stageSalt: '9000000000000000007',
  version: '9000000000000000008',
  units: '9000000000000000009',
} as const;
/** Entry of a number of `DecisionNumbers`: the release and the bucket that it stands for. */
export const DECISION_BASE = 6_000_000_000_000_000_000n;
/** Entry of slot n: the release that has it. */
export const SLOT_BASE = 7_000_000_000_000_000_000n;
/** Entry of server id n: where transactions that began on it go on. */
export const HOME_BASE = 8_000_000_000_000_000_000n;
/**
 * Groups that are dealt at random. The entry of a key that is of such a group is a number below `GO.slot`: group n has
 * those from `GROUP_BASE + n · SLOTS` on, one for each slot of the hash. The map holds beginnings of these numbers as they
 * are written, so that a few of them are all slots of a version.
 */
export const GROUP_BASE = 600_000_000;
/** This much further on: what a stage holds back of the group. */
export const GROUP_HELD_BACK = 100_000_000;

/** Numbers of a range policy lie around it: HAProxy's ranges know no negative numbers. */
export const RANGE_ZERO = 4_000_000_000_000_000_000n;
/** Stands for whatever has more digits than a double tells apart. */
export const RANGE_FAR = 1_000_000_000_000_000_000n;

/** Binary digits of an amount: up to 28 billion in one request, and half of that where it is moved up (`AMOUNT_PATTERN`). */
export const AMOUNT_BITS = 48;

/** Units are closed in the order of their assignment, by moments of this length, in milliseconds. */
export const UNIT_SLOT_MS = 1_000;
/** So long HAProxy keeps what was counted of a moment for a companion that is away, in milliseconds. */
export const UNIT_KEPT_MS = 3_600_000;

/** A capped amount is counted in this many binary digits after the point, 1 being the cap. */
const PART_BITS = 16;
/** Where the outcomes of units are in `gpc(…)`: the first of the binary digits of a sum, or a plain count. */
export const UNIT_DIGITS = {
  partBits: PART_BITS,
  /** Exchanges that are transaction volume. */
  successes: 0,
  /** Those of them that have an amount. */
  amounts: 1,
  parts: 2,
  squares: 2 + (PART_BITS + 1),
  uncapped: 2 + (PART_BITS + 1) + (2 * PART_BITS + 1),
  all: 2 + (PART_BITS + 1) + (2 * PART_BITS + 1) + AMOUNT_BITS,
} as const;

/** Accounts within their windows, at most; those that find no room are counted. */
export const ACCOUNT_ROWS = 1_048_576;
/** So long HAProxy keeps an account that is not taken out, in milliseconds: near the longest that it can. */
export const ACCOUNT_KEPT_MS = 24 * 86_400_000;
/** What `gpt(…)` holds of an account from its first request on: never changed after. */
export const ACCOUNT_TAGS = {
  /** Of its first request, in seconds since 1970 and the milliseconds beyond; first, since `show table` compares the first. */
  second: 0,
  millisecond: 1,
  tableVersion: 2,
  /** xxHash32 of the release, encoded as in the routes map. */
  release: 3,
  /** Of all accounts, as `slotOf` tells. */
  slot: 4,
  /** First number of its group, where groups are dealt at random. */
  group: 5,
  /** 1: nobody of its version could take it, and it does not enter; the release is then the one that it was dealt to, if any. */
  turnedAway: 6,
  all: 7,
} as const;
/** What `gpc(…)` counts of an account's requests within its window. */
export const ACCOUNT_COUNTS = {
  started: 0,
  /** Those of them that the plan counts as allocated. */
  allocated: 1,
  answered: 2,
  /** Exchanges that are transaction volume. */
  matches: 3,
  /** Those of them that have an amount, each moved up so that it is positive. */
  amounts: 4,
  amount: 5,
  all: 5 + AMOUNT_BITS,
} as const;
/** In the table of units: requests of accounts for which there was no room. */
export const BEYOND = 'beyond';
/** In the counting entry where no release is left out; no release is encoded like that. */
export const NO_RELEASE = '/';

/** Files that HAProxy reads at its start and the companion keeps in step. */
export function filesIn(folder: string) {
  return {
    routes: join(folder, 'routes.map'),
    lookup: join(folder, 'lookup.map'),
    /** What is decided for a service behind this one. */
    inner: (service: string) => join(folder, `inner-${service}.map`),
    latency: join(folder, 'latency.map'),
    digits: join(folder, 'digits.map'),
    servers: join(folder, 'servers.state'),
  };
}

export type Files = ReturnType<typeof filesIn>;

/** What the running configuration tells of the rules it was rendered for, by `show env`. */
export const MARKS = {
  rules: 'CHANGEOVER_RULES',
  key: 'CHANGEOVER_KEY',
  policy: 'CHANGEOVER_POLICY',
  transactions: 'CHANGEOVER_TRANSACTIONS',
  measure: 'CHANGEOVER_MEASURE',
  units: 'CHANGEOVER_UNITS',
} as const;
/** Another one whenever maps, rules or tables mean something else than before. */
export const RULES_VERSION = '5';
export type Marks = Record<keyof typeof MARKS, string>;

/** Parts of a plan (or of a route table) that are rules in the configuration; all else is data in maps and tables. */
export interface RuleParts {
  readonly key: Plan['traffic']['key'];
  readonly policy: TrafficPolicy['kind'];
  /** Where groups are dealt at random: where the account is found by which they are. */
  readonly account?: Plan['traffic']['account'];
  readonly transactions: Plan['traffic']['transactions'] | null;
  readonly measure: Plan['measure'];
  /** What is counted for the decision, where anything is. */
  readonly unit: TrialCounting['unit'];
}

/** Where a policy's rules find the account by which they deal groups; undefined where they deal none. */
export function accountOf({
  key,
  policy,
  account,
}: {
  readonly key: KeySource;
  readonly policy: TrafficPolicy;
  readonly account?: KeySource;
}): Pick<RuleParts, 'account'> {
  if (dealtGroups(policy).length === 0) return {};
  const { lookup: _, ...found } = account ?? key;
  return { account: found };
}

export function marksOf(parts: RuleParts): Marks {
  return {
    rules: RULES_VERSION,
    key: plain(parts.key),
    policy: parts.account === undefined ? parts.policy : `${parts.policy} dealt by ${plain(parts.account)}`,
    transactions: plain(parts.transactions ?? null),
    measure: plain(parts.measure),
    units: parts.unit,
  };
}

/** JSON whose order of fields does not depend on who wrote it, without quotes, which configuration files would need to escape. */
export function plain(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plain).join(',')}]`;
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' ? encoded(value) : String(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${name}:${plain(field)}`).join(',')}}`;
}

/** Percent-encoded so that no file, command line or `field()` of HAProxy sees a separator in it. Of text, in UTF-8. */
export function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*~]/g, percent);
}

/** The same for a string of octets; what HAProxy's `url_enc` makes of it. */
export function encodedOctets(octets: string): string {
  return octets.replace(/[^A-Za-z0-9_.~-]/g, percent);
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** One argument of a configuration line, quoted where it has to be (configuration.txt 2.2). */
export function quoted(argument: string): string {
  return /^[\w./:%()[\],|=*-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** A sample fetch with its arguments, in one word. Arguments are words of their own, by the same rules (configuration.txt 2.2). */
export function fetchOf(name: string, ...args: readonly (string | number)[]): string {
  const words = args.map((arg) =>
    /^[\w.:-]+$/.test(String(arg)) ? arg : `'${String(arg).replaceAll("'", `'\\''`)}'`,
  );
  return quoted(`${name}(${words.join(',')})`);
}

/** Servers of a plan with their ids, which are the same in each slot and in whichever order they come. */
export function serversOf(plan: Plan): { id: number; name: string; url: URL }[] {
  const servers = Object.values(plan.clusters).flatMap((cluster) => cluster.servers);
  const numbers = serverNumbers(servers.map(({ name }) => name));
  return servers.map(({ name, url }) => ({ id: numbers.get(name) ?? 0, name, url: new URL(url) }));
}
