import type { Plan } from '../../plan/schema.ts';
import { dealtGroups, versionsNamedBy } from '../../policy/groups.ts';
import { ledWeights, type Lead } from '../../policy/leader.ts';
import type { TrafficPolicy, Weights } from '../../policy/policy.ts';
import { shareOfStage } from '../../upgrade/trial-stages.ts';
import { EVERYONE } from '../block.ts';
import { countedParts } from '../expected-shares.ts';
import { controlOf, type RuleSpec } from '../rule-spec.ts';
import type { RuleState } from '../rule-state.ts';
import { candidatesLeft, leaderOf } from '../rules/shares.ts';

/** Keys that are dealt together: all of them, or a group that is dealt apart. */
export interface DealtKeys {
  readonly name: string;
  /** Release → its part of all keys of the service. */
  readonly keys: Weights;
}

export interface SimulatedRoutes {
  readonly dealt: readonly DealtKeys[];
  /** Version → its part of the service's whole traffic, as far as it counts. */
  readonly partsOf: (dealt: DealtKeys, state: RuleState) => Readonly<Record<string, number>>;
}

/** The routes of one trial, as the run changes them: by stage, by who is dropped, by who is in front. */
export function simulatedRoutes(plan: Plan, spec: RuleSpec): SimulatedRoutes {
  const candidates = plan.candidates.map(({ version }) => version);
  const share = spec.rule === 'anytime' ? spec.leaderShare : undefined;
  let lead: Lead | undefined;
  return {
    dealt: dealtKeys(plan.traffic.policy),
    partsOf: ({ keys }, state) => {
      const left = candidatesLeft(spec, state);
      const out = candidates.filter((version) => !left.includes(version));
      const leader = share === undefined ? undefined : leaderOf(spec, state, left);
      // Weights stand until another one is in front, also where one is dropped meanwhile.
      if (share !== undefined && leader !== undefined && leader !== lead?.leader) {
        lead = { leader, share, candidates, out };
      }
      const weights = lead === undefined ? keys : ledWeights(keys, lead);
      return countedParts(Object.entries(weights), {
        baseline: plan.baseline.version,
        pulled: out,
        open: shareOfStage(plan, stageAt(plan, state.elapsedMs).index),
        control: controlOf(spec) !== undefined,
      });
    },
  };
}

/** The stage at this time of a trial, and when it ends; the last one lasts as long as the trial. */
export function stageAt({ trial: { stages } }: Plan, elapsedMs: number): { index: number; endMs: number } {
  let endMs = 0;
  for (const [index, { lengthMs }] of stages.slice(0, -1).entries()) {
    endMs += lengthMs;
    if (elapsedMs < endMs) return { index, endMs };
  }
  return { index: stages.length - 1, endMs: Infinity };
}

/** Groups are taken to be all as large as each other, for nothing is known of them. */
function dealtKeys(policy: TrafficPolicy): readonly DealtKeys[] {
  const groups = dealtGroups(policy);
  if (groups.length === 0 || policy.kind === 'tail' || policy.kind === 'hash') {
    return [{ name: EVERYONE, keys: normalised(keysBy(policy)) }];
  }
  const all = policy.rules.length + (policy.otherwise === undefined ? 0 : 1);
  return groups.map(({ name, weights }) => ({ name, keys: scaled(weights, 1 / (all * sumOf(weights))) }));
}

/** By weights, by digits; equally where only the keys would tell. */
function keysBy(policy: TrafficPolicy): Weights {
  switch (policy.kind) {
    case 'hash':
      return policy.weights;
    case 'tail': {
      const digits: Record<string, number> = {};
      let left = 10;
      const add = (to: string, count: number): void => {
        digits[to] = (digits[to] ?? 0) + count;
        left -= count;
      };
      for (const { tail, to } of policy.rules) add(to, typeof tail === 'string' ? 5 : tail.length);
      if (policy.otherwise !== undefined) add(policy.otherwise, left);
      return digits;
    }
    case 'range':
    case 'values':
      return Object.fromEntries(versionsNamedBy(policy).map((version) => [version, 1]));
  }
}

export function sumOf(parts: Weights): number {
  return Object.values(parts).reduce((sum, part) => sum + part, 0);
}

export function normalised(parts: Weights): Weights {
  return scaled(parts, 1 / sumOf(parts));
}

function scaled(parts: Weights, by: number): Weights {
  return Object.fromEntries(Object.entries(parts).map(([release, part]) => [release, part * by]));
}
