import { leaderOf } from '../decision/rules/shares.ts';
import { ruleSpecOf } from '../decision/spec-of.ts';
import type { Plan } from '../plan/schema.ts';
import { splitNow } from './route-changes.ts';
import { noted, type UpgradeState } from './state.ts';
import type { Step } from './step.ts';

/** What the evidence asks of the routes during the trial: beaten candidates out, or in again, and who is in front. */
export function competitionStep(plan: Plan, state: UpgradeState): Step | undefined {
  const { ended, incident } = state.trial;
  if (ended || incident !== undefined) return undefined;
  return dropStep(state) ?? restoreStep(plan, state) ?? leadStep(plan, state);
}

/** Candidates that are beaten get no more traffic. */
function dropStep({ trial }: UpgradeState): Step | undefined {
  const gone = trial.dropped ?? [];
  const fresh = Object.keys(trial.decision?.state.dropped ?? {}).filter(
    (version) => !gone.includes(version) && !Object.hasOwn(trial.pulled, version),
  );
  if (fresh.length === 0) return undefined;
  const transitions = fresh.map((release) => ({ kind: 'pull' as const, release }));
  return { kind: 'applyRoutes', purpose: 'drop', servers: [], transitions, staged: false };
}

/** What had beaten these was pulled: they get their share again. */
function restoreStep(plan: Plan, state: UpgradeState): Step | undefined {
  const { dropped: out = [], decision, pulled } = state.trial;
  const { returned = {}, dropped = {} } = decision?.state ?? {};
  const isServed = (version: string): boolean =>
    Object.values(state.servers).some(({ release, stage }) => release === version && stage === 'open');
  const isOut = (version: string): boolean =>
    Object.hasOwn(dropped, version) || Object.hasOwn(pulled, version);
  const back = out.filter(
    (version) => Object.hasOwn(returned, version) && !isOut(version) && isServed(version),
  );
  if (back.length === 0) return undefined;
  const left = out.filter((version) => !back.includes(version));
  const split = splitNow(plan, { ...state, trial: { ...state.trial, dropped: left } });
  const transitions = [
    ...back.map((release) => ({ kind: 'restore' as const, release })),
    { kind: 'split' as const, split },
  ];
  return { kind: 'applyRoutes', purpose: 'restore', servers: [], transitions, staged: false };
}

/** Who is in front gets the share that the plan gives to a leader. */
function leadStep(plan: Plan, state: UpgradeState): Step | undefined {
  const { decision, dropped = [], leader, pulled } = state.trial;
  if (plan.decision.leaderShare === undefined || decision === undefined) return undefined;
  const left = plan.candidates
    .map(({ version }) => version)
    .filter((version) => !dropped.includes(version) && !Object.hasOwn(pulled, version));
  const inFront = leaderOf(ruleSpecOf(plan), decision.state, left);
  if (inFront === undefined || inFront === leader) return undefined;
  const transitions = [{ kind: 'split' as const, split: splitNow(plan, state, inFront) }];
  return { kind: 'applyRoutes', purpose: 'lead', servers: [], transitions, staged: false, leader: inFront };
}

/** Candidates that the routes keep out as beaten, after this change of them; undefined where it is none of these. */
export function outAfter(
  out: readonly string[] = [],
  { purpose, transitions }: Step & { kind: 'applyRoutes' },
): readonly string[] | undefined {
  const named = transitions.flatMap((one) =>
    one.kind === 'pull' || one.kind === 'restore' ? [one.release] : [],
  );
  if (purpose === 'drop') return [...out, ...named];
  return purpose === 'restore' ? out.filter((version) => !named.includes(version)) : undefined;
}

/** Lines in the timeline for candidates that this reading shows to be beaten, or to be tried on. */
export function tellCompetition(now: UpgradeState, before: UpgradeState, at: string): UpgradeState {
  const known = before.trial.decision?.state.dropped ?? {};
  const dropped = now.trial.decision?.state.dropped ?? {};
  const out = Object.entries(dropped)
    .filter(([version]) => !Object.hasOwn(known, version))
    .map(([version, { by }]) => `${version} is out: beaten by ${by}`);
  const back = Object.entries(known)
    .filter(([version]) => !Object.hasOwn(dropped, version) && !Object.hasOwn(now.trial.pulled, version))
    .map(([version, { by }]) => `${version} is tried on: what had beaten it was pulled (${by})`);
  return [...out, ...back].reduce((state, what) => noted(state, { at, what }), now);
}
