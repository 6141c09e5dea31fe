import { PULLED } from './allotment.ts';
import xxhash from 'xxhash-wasm';
import type { TrafficSplit } from '../routes/table.ts';
import { dealtGroups, heldBackBucket, listName, OTHERWISE, rangeName } from './groups.ts';
import { DEFAULT_SALT, type GroupTarget, type TrafficPolicy, type Weights } from './policy.ts';

const hasher = await xxhash();

/** The release for a key, and the policy bucket it is counted under. */
export interface KeyDecision {
  readonly release: string;
  readonly bucket: string;
}

/** Number of hash slots: shares and weights are honoured to 1/10,000. */
export const SLOTS = 10_000;

/** Keys of more octets than this count as absent, in every gateway: what clients send is bounded before it is hashed. */
export const MAX_KEY_OCTETS = 256;

/**
 * Slot 0..9,999 of a key: xxHash32 (seed 0) of `salt + ":" + key`, modulo 10,000. HAProxy computes the same natively
 * (`concat`, `xxh32`), which keeps mixed gateways in step (invariant 7). The modulo's bias is below 3e-6 of a slot.
 */
export function slotOf(key: string, salt: string): number {
  const text = `${utf8Octets(salt)}:${octetsOf(key)}`;
  return (isAscii(text) ? hasher.h32(text) : hasher.h32Raw(Uint8Array.from(text, charCode))) % SLOTS;
}

/**
 * Text as a string of octets, one character (0..255) each: its UTF-8, unless it is such a string already. Keys travel in
 * this form, since that is what came over the wire, whether or not it is UTF-8.
 */
export function octetsOf(text: string): string {
  return /^[\x00-\xff]*$/.test(text) ? text : utf8Octets(text);
}

/** UTF-8 of a text that a person wrote (a plan, a lookup file), as a string of octets. */
export function utf8Octets(text: string): string {
  return isAscii(text) ? text : String.fromCharCode(...new TextEncoder().encode(text));
}

function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text);
}

function charCode(char: string): number {
  return char.charCodeAt(0);
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?$/;

/**
 * A decimal number rounded down, exactly and however long, as far as doubles tell whole numbers apart. Bounds are whole
 * numbers as a rule, and then nothing else counts; HAProxy compares 64-bit integers only.
 */
function wholePart([, sign, whole = '0', fraction = '']: RegExpExecArray): number {
  if (sign !== '-') return Number(whole);
  return -Number(whole) - (/[1-9]/.test(fraction) ? 1 : 0);
}

/** A key's release before stages and pulls, or undefined where the key, or the account, is unusable for the policy. */
type Allot = (key: string, account: string | undefined) => KeyDecision | undefined;

const TAILS = { odd: [1, 3, 5, 7, 9], even: [0, 2, 4, 6, 8] } as const;

function compilePolicy(policy: TrafficPolicy): Allot {
  switch (policy.kind) {
    case 'tail': {
      const byDigit = new Map<string, KeyDecision>();
      for (const rule of policy.rules) {
        const digits = typeof rule.tail === 'string' ? TAILS[rule.tail] : rule.tail;
        const label = typeof rule.tail === 'string' ? rule.tail : rule.tail.join('');
        for (const digit of digits) byDigit.set(String(digit), { release: rule.to, bucket: `tail:${label}` });
      }
      const otherwise =
        policy.otherwise === undefined ? undefined : { release: policy.otherwise, bucket: OTHERWISE };
      return (key) => {
        const last = key.at(-1) ?? '';
        if (last < '0' || last > '9') return undefined;
        return byDigit.get(last) ?? otherwise;
      };
    }
    case 'range': {
      const rules = policy.rules.map((rule) => ({
        from: rule.from ?? -Infinity,
        below: rule.below ?? Infinity,
        deal: compileTarget(rule.to, rangeName(rule), policy.salt),
      }));
      const otherwise = compileOtherwise(policy);
      const wholeBounds = rules.every(({ from, below }) => isWhole(from) && isWhole(below));
      return (key, account) => {
        // Number('') is 0 and Number('0x10') is 16: neither is a number that a person wrote as a key.
        const number = NUMBER.exec(key);
        if (number === null) return undefined;
        const value = wholeBounds ? wholePart(number) : Number(key);
        return (rules.find((rule) => value >= rule.from && value < rule.below)?.deal ?? otherwise)(account);
      };
    }
    case 'values': {
      const byValue = new Map<string, Deal>();
      for (const [index, rule] of policy.rules.entries()) {
        const bucket = typeof rule.to === 'string' ? `values:${rule.to}` : listName(rule, index);
        const deal = compileTarget(rule.to, bucket, policy.salt);
        for (const value of rule.values) byValue.set(utf8Octets(value), deal);
      }
      const otherwise = compileOtherwise(policy);
      return (key, account) => (byValue.get(key) ?? otherwise)(account);
    }
    case 'hash':
      return compileWeights(policy.weights, policy.salt);
  }
}

/** Where an account of a group goes; undefined where there is none and the group is dealt. */
type Deal = (account: string | undefined) => KeyDecision | undefined;

function compileTarget(target: GroupTarget, bucket: string, salt = DEFAULT_SALT): Deal {
  if (typeof target === 'string') {
    const decision = { release: target, bucket };
    return () => decision;
  }
  const deal = compileWeights(target, salt, bucket);
  return (account) => (account === undefined ? undefined : deal(account));
}

function compileOtherwise({ otherwise, salt }: { otherwise?: GroupTarget; salt?: string }): Deal {
  return otherwise === undefined ? () => undefined : compileTarget(otherwise, OTHERWISE, salt);
}

function compileWeights(
  weights: Weights,
  salt: string,
  bucket?: string,
): (key: string) => KeyDecision | undefined {
  const steps = hashSteps(weights, bucket);
  return (key) => {
    const slot = slotOf(key, salt);
    return (steps.find((step) => slot < step.below) ?? steps.at(-1))?.decision;
  };
}

/**
 * Which slots a weighted hash gives to whom: those below `below` that no step before it takes; the last takes the rest.
 * Each version has a bucket of its own, or those of a group have the group's.
 */
export function hashSteps(
  weights: Weights,
  bucket?: string,
): readonly { readonly below: number; readonly decision: KeyDecision }[] {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  // Sorted, so that the split does not depend on the order in which a plan lists its versions.
  return Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([release, weight]) => {
      sum += weight;
      return {
        below: (sum / total) * SLOTS,
        decision: { release, bucket: bucket ?? `hash:${release}` },
      };
    });
}

function isWhole(bound: number): boolean {
  return Number.isInteger(bound) || Math.abs(bound) === Infinity;
}

/**
 * Compiles a split into the function that a gateway calls for each request (and that the audit calls for each key).
 * The same key gets the same release from every gateway, and keeps it while the policy stands: when the share grows,
 * keys only move from the baseline to their candidate (invariant 7). Where a group is dealt at random, that is said of
 * its accounts: `account` is by what a customer is told apart, and stages hold back accounts too.
 */
export function compileSplit(
  split: TrafficSplit,
): (key: string | undefined, account?: string) => KeyDecision {
  const allot = compilePolicy(split.policy);
  const noKey: KeyDecision = { release: split.withoutKey, bucket: 'no-key' };
  const pulled = new Set(split.pulled);
  const heldBack: KeyDecision = { release: split.baseline, bucket: heldBackBucket() };
  const groups = dealtGroups(split.policy);
  const heldBackOf = new Map(
    groups.map(({ name }) => [name, { release: split.baseline, bucket: heldBackBucket(name) }]),
  );
  const afterPull: KeyDecision = { release: split.baseline, bucket: PULLED };
  const isBehind = stageOf(split);

  return (given, givenAccount) => {
    const key = usable(given);
    const account = groups.length === 0 ? key : usable(givenAccount);
    const allotted = (key === undefined ? undefined : allot(key, account)) ?? noKey;
    if (allotted.release === split.baseline) return allotted;
    if (pulled.has(allotted.release)) return afterPull;
    return isBehind(account) ? (heldBackOf.get(allotted.bucket) ?? heldBack) : allotted;
  };
}

/** Whether the stage's share holds a key (of groups that are dealt: an account) back, whatever its version. */
export function compileStage(split: TrafficSplit): (given: string | undefined) => boolean {
  const isBehind = stageOf(split);
  return (given) => isBehind(usable(given));
}

/** The same for a key that `usable` made ready. */
function stageOf({ share, salt }: TrafficSplit): (key: string | undefined) => boolean {
  const openSlots = share * SLOTS;
  const stageSalt = `stage:${salt}`;
  return (key) => share < 1 && slotOf(key ?? '', stageSalt) >= openSlots;
}

function usable(given: string | undefined): string | undefined {
  const isAbsent = given === undefined || given === '' || given.length > MAX_KEY_OCTETS;
  return isAbsent ? undefined : octetsOf(given);
}
