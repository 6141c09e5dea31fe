import { AMOUNT_DECIMALS } from '../domain/amount.ts';
import { TRANSACTION_UNALLOTTED, FAILOVER, PULLED } from '../domain/policy/allotment.ts';
import { isHaproxyBound } from '../domain/plan/checks/gateways.ts';
import { dealtGroups, heldBackBucket } from '../domain/policy/groups.ts';
import { DEFAULT_SALT } from '../domain/policy/policy.ts';
import { compileSplit, hashSteps, type KeyDecision, SLOTS, utf8Octets } from '../domain/policy/route-key.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable, TrafficSplit } from '../domain/routes/table.ts';
import { accountSalt } from '../gateway/account-units.ts';
import { DecisionNumbers } from './decision-numbers.ts';
import {
  encoded,
  encodedOctets,
  GROUP_BASE,
  GROUP_HELD_BACK,
  HOME_BASE,
  NO_RELEASE,
  RANGE_FAR,
  RANGE_ZERO,
  SLOT_BASE,
  SPECIAL,
  TRANSACTION,
} from './layout.ts';

export type MapEntry = readonly [key: string, value: string];
/** `open`: the slot of a stage from which on keys are held back. */
type Decision = (decision: KeyDecision, open?: number) => string;

/**
 * Slot of each release that a table can send traffic to. A release keeps its slot, so that what goes on there stays;
 * one without servers gives it up.
 *
 * @throws ChangeoverError `InvalidRequest` if the configuration has too few slots.
 */
export function assignSlots(
  table: RouteTable,
  { before, slots }: { before: ReadonlyMap<string, number>; slots: number },
): Map<string, number> {
  const wanted = new Set([table.mainRelease, ...table.servers.map(({ release }) => release)]);
  const next = new Map([...before].filter(([release]) => wanted.has(release)));
  // The one that was given up longest ago is not known; one that nobody had before is safest.
  const had = new Set(before.values());
  const taken = new Set(next.values());
  const all = Array.from({ length: slots }, (_, index) => index + 1).filter((slot) => !taken.has(slot));
  const free = [...all.filter((slot) => !had.has(slot)), ...all.filter((slot) => had.has(slot))];
  for (const release of wanted) {
    if (next.has(release)) continue;
    const slot = free.shift();
    if (slot === undefined) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy has ${slots} slots and the routes have ${wanted.size} versions; render its configuration with --slots ${wanted.size + 1} and reload it.`,
      );
    }
    next.set(release, slot);
  }
  return next;
}

/** The entries that say which release has which slot. They alone are in the map before there are any routes. */
export function slotRoutes(slots: ReadonlyMap<string, number>, count: number): MapEntry[] {
  const byNumber = new Map([...slots].map(([release, slot]) => [slot, release]));
  return Array.from({ length: count }, (_, index): MapEntry => {
    const release = byNumber.get(index + 1);
    return [String(SLOT_BASE + BigInt(index + 1)), release === undefined ? '-' : encoded(release)];
  });
}

/**
 * A table as the one map that HAProxy decides by. One map, so that `commit map` switches the whole policy (rules, stage,
 * pulls, refuges, version) in one atomic moment: there is no request that met half of a table.
 *
 * @throws ChangeoverError `InvalidRequest` for what HAProxy cannot express.
 */
export function routeMap(
  table: RouteTable,
  parts: {
    slots: ReadonlyMap<string, number>;
    slotCount: number;
    serverIds: ReadonlyMap<string, number>;
    decisions: DecisionNumbers;
  },
): MapEntry[] {
  const { split, mainRelease } = table;
  const { slots, decisions } = parts;
  const to: Decision = (decision, open) =>
    decisions.go(decision, { slot: slots.get(decision.release) ?? 0, open });
  const main: KeyDecision = { release: mainRelease, bucket: 'main' };
  const homeOf = new Map(
    [...slots.keys()].map((release) => {
      // The rules make the other kind of it by themselves.
      decisions.of({ release, bucket: TRANSACTION_UNALLOTTED });
      return [release, to({ release, bucket: TRANSACTION })];
    }),
  );
  const refuges = [mainRelease, split?.baseline ?? mainRelease];
  const homes = table.servers.flatMap(({ name, release, ingress }): MapEntry[] => {
    const id = parts.serverIds.get(name);
    if (id === undefined || ingress === 'closed') return [];
    return [[String(HOME_BASE + BigInt(id)), homeOf.get(release) ?? '']];
  });
  const entries: MapEntry[] = [
    // Ranges first: HAProxy goes through them one after the other, and behind them there is an entry for each server.
    ...(split === null
      ? ([
          [SPECIAL.noKey, to(main)],
          [SPECIAL.miss, to(main)],
        ] as MapEntry[])
      : splitEntries(split, to)),
    [SPECIAL.version, String(table.version)],
    ...countingEntries(table),
    [SPECIAL.refuge, to({ release: refuges[0] ?? '', bucket: FAILOVER })],
    [SPECIAL.secondRefuge, to({ release: refuges[1] ?? '', bucket: FAILOVER })],
    ...slotRoutes(slots, parts.slotCount),
    ...homes,
  ];
  return [...entries, ...decisions.entries];
}

/** A table of a service behind HAProxy, as far as it decides on a release. @throws ChangeoverError `InvalidRequest` */
export function innerMapEntries({ version, split, mainRelease }: RouteTable): MapEntry[] {
  const decisions = new DecisionNumbers();
  const to: Decision = (decision, open) => decisions.go(decision, { slot: 0, open });
  const main = to({ release: mainRelease, bucket: 'main' });
  const entries: MapEntry[] = [
    ...(split === null
      ? ([
          [SPECIAL.noKey, main],
          [SPECIAL.miss, main],
        ] as MapEntry[])
      : splitEntries(split, to)),
    [SPECIAL.version, String(version)],
  ];
  return [...entries, ...decisions.entries];
}

/** What the rules need to count units: there is no entry where none are counted, and none of the rules is executed then. */
function countingEntries({ version, split }: RouteTable): MapEntry[] {
  if (split?.counting === undefined) return [];
  const { unit, control, timeoutMs, windowMs, cap = 0 } = split.counting;
  // Without a control arm, who is held back is compared with nobody.
  const open = control ? SLOTS : openSlots(split);
  const fields = [version, Math.floor(timeoutMs), Math.round(cap * 10 ** AMOUNT_DECIMALS)];
  const ofAccounts =
    unit === 'account'
      ? [
          encoded(accountSalt(split.salt)),
          control ? NO_RELEASE : encoded(split.baseline),
          String(Math.floor(windowMs)),
          String(open),
        ]
      : [];
  return [[SPECIAL.units, [...fields, ...ofAccounts].join(':')]];
}

function splitEntries(split: TrafficSplit, to: Decision): MapEntry[] {
  const full = compileSplit({ ...split, share: 1 });
  const open = openSlots(split);
  const staged: Decision = (decision) =>
    to(decision, decision.release === split.baseline || open >= SLOTS ? undefined : open);
  return [
    ...policyEntries(split, full, staged),
    ...groupEntries(split, { to, staged }),
    [SPECIAL.noKey, staged(full(undefined))],
    [SPECIAL.heldBack, to({ release: split.baseline, bucket: heldBackBucket() })],
    [SPECIAL.stageSalt, encoded(`stage:${split.salt}`)],
  ];
}

/** Slots of the stage's hash below which no key is held back. */
function openSlots({ share }: TrafficSplit): number {
  return Math.ceil(share * SLOTS);
}

function policyEntries(split: TrafficSplit, full: (key: string) => KeyDecision, to: Decision): MapEntry[] {
  const { policy } = split;
  const entryOf = groupOrDecision(split, full, to);
  switch (policy.kind) {
    case 'tail':
      return Array.from({ length: 10 }, (_, digit): MapEntry => [String(digit), to(full(String(digit)))]);
    case 'values': {
      const values = new Set(policy.rules.flatMap((rule) => rule.values.map(utf8Octets)));
      values.delete('');
      return [
        [SPECIAL.miss, entryOf(otherThan(values))],
        ...[...values].map((value): MapEntry => [`v${encodedOctets(value)}`, entryOf(value)]),
      ];
    }
    case 'hash': {
      let from = 0;
      const steps = hashSteps(policy.weights);
      const entries = steps.map(({ below, decision }, index): MapEntry => {
        const last = index === steps.length - 1 ? SLOTS : Math.ceil(below);
        const range = `${from}:${last - 1}`;
        const empty = last <= from;
        from = Math.max(from, last);
        return [empty ? '' : range, to(unlessPulled(decision, split))];
      });
      return [[SPECIAL.policySalt, encoded(policy.salt)], ...entries.filter(([range]) => range !== '')];
    }
    case 'range': {
      const bounds = policy.rules.flatMap(({ from, below }) => [from, below].filter((b) => b !== undefined));
      for (const bound of bounds) {
        if (isHaproxyBound(bound)) continue;
        throw new ChangeoverError(
          'InvalidRequest',
          `HAProxy compares whole numbers of at most 15 digits; the policy's bound ${bound} is none. Write such bounds.`,
        );
      }
      const starts = [...new Set(bounds)].sort((a, b) => a - b);
      const lowest = (starts[0] ?? 0) - 1;
      const far = (starts.at(-1) ?? 0) + 1;
      const edges: [from: bigint, sample: number][] = [
        [RANGE_ZERO - RANGE_FAR, lowest],
        ...starts.map((start): [bigint, number] => [RANGE_ZERO + BigInt(start), start]),
      ];
      return edges.map(([from, sample], index): MapEntry => {
        const next = edges[index + 1]?.[0] ?? RANGE_ZERO + RANGE_FAR + 1n;
        return [`${from}:${next - 1n}`, entryOf(String(starts.length === 0 ? far : sample))];
      });
    }
  }
}

function unlessPulled(decision: KeyDecision, { baseline, pulled }: TrafficSplit): KeyDecision {
  const isPulled = decision.release !== baseline && pulled.includes(decision.release);
  return isPulled ? { release: baseline, bucket: PULLED } : decision;
}

/** What the map holds for a key: where it goes, or of which group that is dealt at random it is. */
function groupOrDecision(
  split: TrafficSplit,
  full: (key: string) => KeyDecision,
  to: Decision,
): (key: string) => string {
  const names = dealtGroups(split.policy).map(({ name }) => name);
  if (names.length === 0) return (key) => to(full(key));
  const bucketOf = compileSplit({ ...split, share: 1, pulled: [] });
  return (key) => {
    const group = names.indexOf(bucketOf(key, ANYONE).bucket);
    return group < 0 ? to(full(key)) : String(GROUP_BASE + group * SLOTS);
  };
}

/** Of a group all accounts have the same bucket. */
const ANYONE = '-';

/** Slots of the groups that are dealt at random, and what a stage holds back of each. */
function groupEntries(
  split: TrafficSplit,
  { to, staged }: { readonly to: Decision; readonly staged: Decision },
): MapEntry[] {
  const groups = dealtGroups(split.policy);
  if (groups.length === 0) return [];
  const salt = 'salt' in split.policy ? split.policy.salt : undefined;
  const entries = groups.flatMap(({ name, weights }, index): MapEntry[] => {
    const base = GROUP_BASE + index * SLOTS;
    let from = 0;
    const steps = hashSteps(weights, name);
    const dealt = steps.flatMap(({ below, decision }, step): MapEntry[] => {
      const last = step === steps.length - 1 ? SLOTS : Math.ceil(below);
      const value = staged(unlessPulled(decision, split));
      const numbers = beginnings(base + from, base + last);
      from = Math.max(from, last);
      return numbers.map((number): MapEntry => [number, value]);
    });
    const held = to({ release: split.baseline, bucket: heldBackBucket(name) });
    return [...dealt, [String(base + GROUP_HELD_BACK), held]];
  });
  return [[SPECIAL.policySalt, encoded(salt ?? DEFAULT_SALT)], ...entries];
}

/** Beginnings by which all whole numbers from `from` to below `below`, of the same length, are told from others. */
function beginnings(from: number, below: number): string[] {
  const found: string[] = [];
  for (let at = from; at < below;) {
    let zeros = 0;
    while (at % 10 ** (zeros + 1) === 0 && at + 10 ** (zeros + 1) <= below) zeros += 1;
    found.push(String(at).slice(0, String(at).length - zeros));
    at += 10 ** zeros;
  }
  return found;
}

/** A value that no rule names. */
function otherThan(values: ReadonlySet<string>): string {
  let other = '-';
  while (values.has(other)) other += '-';
  return other;
}
