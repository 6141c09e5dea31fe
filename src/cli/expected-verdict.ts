import { formatDuration } from '../domain/duration.ts';
import { controlOf, isBounded, type RuleSpec } from '../domain/decision/rule-spec.ts';
import { allOf, formatCount, formatEfficacy } from '../domain/decision/sentence.ts';
import { simulatePlan, type SimulatedPlan } from '../domain/decision/simulation/plan-trial.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { Plan } from '../domain/plan/schema.ts';
import type { RequestRate } from './measured-traffic.ts';
import { horizonOf } from './simulation-input.ts';

/** What is asked beside the plan. */
export interface ExpectationInput {
  readonly effect?: number;
  readonly traffic?: number;
  readonly horizon?: number;
  readonly runs: number;
  /** What gateways counted, or why that is not known; absent: nobody asked. */
  readonly measured?: RequestRate | string;
}

/** What a verdict is expected to take where the first candidate is better than all others by the effect. */
export interface Expectation {
  readonly effect: number;
  readonly rate: number;
  readonly trafficPerSecond: number;
  /** Who says so: `--traffic`, the gateways' counters, or `decision.traffic`. */
  readonly trafficFrom: 'option' | 'gateways' | 'plan';
  readonly horizonMs: number;
  readonly simulated: SimulatedPlan;
}

/** A trial is not looked at for longer, in milliseconds: 60 days. */
const FAR_MS = 60 * 24 * 3_600_000;

/** The expectation, or what is missing for one. */
export function expectationOf(plan: Plan, spec: RuleSpec, input: ExpectationInput): Expectation | string {
  const { decision } = plan;
  const effect = input.effect ?? decision.epsilon;
  const traffic = trafficOf(plan, spec, input);
  const rate = decision.expectedRate;
  const sources = ['decision.traffic', ...(spec.unit === 'request' ? ['--measure-traffic'] : [])];
  const missing = [
    ...(isBounded(spec) ? ['an expectation of amounts: use `changeover simulate`'] : []),
    ...(rate === undefined ? ['decision.expectedRate'] : []),
    ...(effect === undefined || effect === 0 ? ['decision.epsilon or --effect'] : []),
    ...(traffic === undefined ? [`${sources.join(', ')} or --traffic`] : []),
  ];
  if (missing.length > 0 || rate === undefined || effect === undefined || traffic === undefined) {
    return `How long a verdict takes is not known without ${missing.join(', ')}.`;
  }
  if (rate + effect > 1) {
    throw new ChangeoverError(
      'InvalidRequest',
      `--effect ${effect} on top of the expected rate ${rate} is more than 1.`,
    );
  }
  const best = spec.arms.findIndex(({ role }) => role === 'candidate');
  const rates = spec.arms.map((_, i) => (i === best ? rate + effect : rate));
  const stagesMs = horizonOf(plan);
  const horizonMs = input.horizon ?? (spec.rule === 'anytime' ? (decision.deadlineMs ?? FAR_MS) : stagesMs);
  const { trafficPerSecond } = traffic;
  const simulated = simulatePlan({ plan, rates, trafficPerSecond, runs: input.runs, seed: 1, horizonMs });
  return { effect, rate, ...traffic, horizonMs, simulated };
}

/** Who was asked goes before what the gateways say, and that before what the plan says. */
function trafficOf(
  plan: Plan,
  spec: RuleSpec,
  { traffic, measured }: ExpectationInput,
): Pick<Expectation, 'trafficPerSecond' | 'trafficFrom'> | undefined {
  if (traffic !== undefined) return { trafficPerSecond: traffic, trafficFrom: 'option' };
  // Of accounts only a trial knows whether one has come before.
  if (spec.unit === 'request' && typeof measured === 'object' && measured.perSecond > 0) {
    return { trafficPerSecond: measured.perSecond, trafficFrom: 'gateways' };
  }
  const planned = plan.decision.traffic;
  return planned === undefined ? undefined : { trafficPerSecond: planned, trafficFrom: 'plan' };
}

/** The expectation and where its traffic comes from, in lines. */
export function outlook(
  plan: Plan,
  spec: RuleSpec,
  { expected, measured }: { expected: Expectation | string; measured: ExpectationInput['measured'] },
): string[] {
  const present = measured === undefined ? [] : [describeMeasured(plan, spec, measured)];
  if (typeof expected === 'string') return [...present, expected];
  const { effect, rate, trafficPerSecond, trafficFrom, horizonMs, simulated } = expected;
  const { timeMs, units, exposed, inconclusive } = simulated;
  const shown = (value: number): string =>
    formatEfficacy(value, spec.volume, { moreDecimals: 1, unit: spec.unit });
  const against = controlOf(spec) === undefined ? 'the other candidates' : 'baseline and other candidates';
  return [
    ...present,
    `A candidate at ${shown(rate + effect)} against ${against} at ${shown(rate)}, with ${perSecond(trafficPerSecond, spec.unit)} (${SAID_BY[trafficFrom]}):`,
    `  verdict within ${formatDuration(timeMs.mean)} on average, ${formatDuration(timeMs.p95)} in 95 of 100 trials`,
    `  ${formatCount(Math.round(units))} ${spec.unit}s in the trial until then, ${formatCount(Math.round(exposed))} of them on a version that is not the best`,
    ...(inconclusive > 0
      ? [
          `  ${round(inconclusive * 100)} % of the trials end after ${formatDuration(horizonMs)} without a verdict`,
        ]
      : []),
  ];
}

const SAID_BY: Readonly<Record<Expectation['trafficFrom'], string>> = {
  option: '--traffic',
  gateways: 'as measured',
  plan: 'decision.traffic',
};

/** What was measured, and what it says of the units of this plan. */
function describeMeasured(
  { decision: { traffic } }: Plan,
  { unit }: RuleSpec,
  measured: RequestRate | string,
): string {
  if (typeof measured === 'string') return `The present traffic is not known. ${measured}`;
  const where = `${allOf(measured.gateways)} over ${formatDuration(measured.overMs)}`;
  if (measured.perSecond === 0) {
    return `The present traffic is not known: no request that measure.allocated counts came by ${where}.`;
  }
  const present = `At present ${perSecond(measured.perSecond, 'request')} that measure.allocated counts come by ${where}`;
  if (unit === 'request') return `${present}.`;
  const beyond =
    traffic !== undefined && traffic > measured.perSecond
      ? ` decision.traffic, ${perSecond(traffic, unit)}, is more than that: at present a verdict takes longer than it lets expect.`
      : '';
  return `${present}. How many of them are first ones of an account is not known before a trial counts accounts: at most that many accounts enter it.${beyond}`;
}

function perSecond(rate: number, unit: RuleSpec['unit']): string {
  return `${round(rate)} ${unit}s per second`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
