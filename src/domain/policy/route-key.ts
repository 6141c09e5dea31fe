import xxhash from 'xxhash-wasm';
import type { TrafficSplit } from '../routes/table.ts';
import type { TrafficPolicy } from './policy.ts';

const hasher = await xxhash();

/** The release for a key, and the policy bucket it is counted under. */
export interface KeyDecision {
  readonly release: string;
  readonly bucket: string;
}

/** Number of hash slots: shares and weights are honoured to 1/10,000. */
const SLOTS = 10_000;

/**
 * Slot 0..9,999 of a key: xxHash32 (seed 0) of `salt + NUL + key` in UTF-8, modulo 10,000. HAProxy computes the same
 * natively (`xxh32`), which keeps mixed gateways in step (invariant 7). The modulo's bias is below 3e-6 of a slot.
 */
export function slotOf(key: string, salt: string): number {
  return hasher.h32(`${salt}\0${key}`) % SLOTS;
}

/** A key's release before stages and pulls, or undefined where the key is unusable for the policy. */
type Allot = (key: string) => KeyDecision | undefined;

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
      const otherwise = otherwiseOf(policy.otherwise);
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
        decision: { release: rule.to, bucket: `range:${rule.from ?? ''}..${rule.below ?? ''}` },
      }));
      const otherwise = otherwiseOf(policy.otherwise);
      return (key) => {
        // Number('') is 0 and Number('0x10') is 16: neither is a number that a person wrote as a key.
        if (!/^-?\d+(\.\d+)?$/.test(key)) return undefined;
        const value = Number(key);
        return rules.find((rule) => value >= rule.from && value < rule.below)?.decision ?? otherwise;
      };
    }
    case 'values': {
      const byValue = new Map<string, KeyDecision>();
      for (const rule of policy.rules) {
        for (const value of rule.values)
          byValue.set(value, { release: rule.to, bucket: `values:${rule.to}` });
      }
      const otherwise = otherwiseOf(policy.otherwise);
      return (key) => byValue.get(key) ?? otherwise;
    }
    case 'hash': {
      const total = Object.values(policy.weights).reduce((sum, weight) => sum + weight, 0);
      let sum = 0;
      // Sorted, so that the split does not depend on the order in which a plan lists its versions.
      const steps = Object.entries(policy.weights)
        .filter(([, weight]) => weight > 0)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([release, weight]) => {
          sum += weight;
          return { below: (sum / total) * SLOTS, decision: { release, bucket: `hash:${release}` } };
        });
      return (key) => {
        const slot = slotOf(key, policy.salt);
        return (steps.find((step) => slot < step.below) ?? steps.at(-1))?.decision;
      };
    }
  }
}

function otherwiseOf(release: string | undefined): KeyDecision | undefined {
  return release === undefined ? undefined : { release, bucket: 'otherwise' };
}

/**
 * Compiles a split into the function that a gateway calls for each request (and that the audit calls for each key).
 * The same key gets the same release from every gateway, and keeps it while the policy stands: when the share grows,
 * keys only move from the baseline to their candidate (invariant 7).
 */
export function compileSplit(split: TrafficSplit): (key: string | undefined) => KeyDecision {
  const allot = compilePolicy(split.policy);
  const noKey: KeyDecision = { release: split.withoutKey, bucket: 'no-key' };
  const pulled = new Set(split.pulled);
  const openSlots = split.share * SLOTS;
  const heldBack: KeyDecision = { release: split.baseline, bucket: 'held-back' };
  const afterPull: KeyDecision = { release: split.baseline, bucket: 'pulled' };
  const salt = `stage:${split.salt}`;

  return (key) => {
    const allotted = (key === undefined || key === '' ? undefined : allot(key)) ?? noKey;
    if (allotted.release === split.baseline) return allotted;
    if (pulled.has(allotted.release)) return afterPull;
    if (split.share < 1 && slotOf(key ?? '', salt) >= openSlots) return heldBack;
    return allotted;
  };
}
