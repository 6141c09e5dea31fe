import { formatDuration } from '../domain/duration.ts';
import { controlOf, isAaTest, isBounded, type RuleSpec } from '../domain/decision/rule-spec.ts';
import { allOf, formatCount, formatEfficacy } from '../domain/decision/sentence.ts';
import { simulatePlan, type SimulatedPlan } from '../domain/decision/simulation/plan-trial.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { Plan } from '../domain/plan/schema.ts';
import { trialLengthMs } from '../domain/upgrade/trial-stages.ts';
import { foregoneVerdict } from './foregone-verdict.ts';
import type { RequestRate } from './measured-traffic.ts';
import { falseAlarmsAtMost, openClauses, percent } from './simulation-view.ts';

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
  /** Null in an A/A test: the same version does the same everywhere. */
  readonly effect: number | null;
  readonly rate: number;
  readonly trafficPerSecond: number;
  /** Who says so: `--traffic`, the gateways' counters, or `decision.traffic`. */
  readonly trafficFrom: 'option' | 'gateways' | 'plan';
  readonly simulated: SimulatedPlan;
}

/** The expectation, or a sentence: what is foregone, or what is missing for one. */
export function expectationOf(plan: Plan, spec: RuleSpec, input: ExpectationInput): Expectation | string {
  const { decision } = plan;
  const horizonMs = input.horizon ?? trialLengthMs(plan);
  const foregone = foregoneVerdict(spec, horizonMs);
  if (foregone !== undefined) return foregone;
  const effect = isAaTest(spec) ? 0 : (input.effect ?? decision.epsilon);
  const traffic = trafficOf(plan, spec, input);
  const rate = decision.expectedRate;
  const sources = ['decision.traffic', ...(spec.unit === 'request' ? ['--measure-traffic'] : [])];
  const effects = spec.rule === 'anytime' ? 'decision.epsilon or --effect' : '--effect';
  const missing = [
    ...(rate === undefined ? ['decision.expectedRate'] : []),
    ...(effect === undefined || (effect === 0 && !isAaTest(spec)) ? [effects] : []),
    ...(traffic === undefined ? [`${sources.join(', ')} or --traffic`] : []),
  ];
  if (isBounded(spec)) return [atTheEnd(spec, horizonMs), expectedElsewhere(spec)].join(' ').trim();
  if (missing.length > 0 || rate === undefined || effect === undefined || traffic === undefined) {
    const unknown = `How long a verdict takes is not known without ${missing.join(', ')}.`;
    return atTheEnd(spec, horizonMs) ?? unknown;
  }
  if (rate + effect > 1) {
    throw new ChangeoverError(
      'InvalidRequest',
      `--effect ${effect} on top of the expected rate ${rate} is more than 1.`,
    );
  }
  const best = spec.arms.findIndex(({ role }) => role === 'candidate');
  const rates = spec.arms.map((_, i) => (i === best ? rate + effect : rate));
  const { trafficPerSecond } = traffic;
  const simulated = simulatePlan({ plan, rates, trafficPerSecond, runs: input.runs, seed: 1, horizonMs });
  return { effect: isAaTest(spec) ? null : effect, rate, ...traffic, simulated };
}

/** A rule that decides at the end has its time, whatever the versions do. */
function atTheEnd(spec: RuleSpec, horizonMs: number): string | undefined {
  if (spec.rule !== 'max-efficacy') return undefined;
  return `The trial is decided at its end, after ${formatDuration(horizonMs)}: the greatest ratio wins, if each version has ${formatCount(spec.minSamples)} ${spec.unit}s by then.`;
}

/** Where one number is no expectation. */
function expectedElsewhere({ arms, volume, unit }: RuleSpec): string {
  const order = allOf(arms.map(({ version }) => version));
  const what = volume === 'clicks' ? 'clicks' : 'amounts';
  return `What ${what} let expect is said by \`changeover simulate\`, whose --rates are those per ${unit} of ${order}.`;
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
  const traffic = `${perSecond(expected.trafficPerSecond, spec.unit)} (${SAID_BY[expected.trafficFrom]})`;
  return [...present, ...(isAaTest(spec) ? aaLines : verdictLines)(plan, spec, { ...expected, traffic })];
}

type Described = Expectation & { readonly traffic: string };

function verdictLines(
  { decision }: Plan,
  spec: RuleSpec,
  { effect, rate, traffic, simulated }: Described,
): string[] {
  const { inconclusive, reasons, verdictMs, units, exposed } = simulated;
  const [best, other] = [rate + (effect ?? 0), rate].map((value) => shown(value, spec));
  const open = openClauses(spec, simulated).map((clause) => `  ${clause}`);
  const later =
    decision.deadlineMs === undefined
      ? 'decision.deadline would let the last stage go on'
      : 'a later decision.deadline would leave more time';
  return [
    `A candidate at ${best} against ${competitorsOf(spec)} at ${other}, with ${traffic}:`,
    verdictMs === null
      ? '  no trial reaches a verdict'
      : `  verdict in ${percent(1 - inconclusive)} of the trials, after ${formatDuration(verdictMs.mean)} on average, in 95 of 100 of these within ${formatDuration(verdictMs.p95)}`,
    ...open,
    ...(spec.rule === 'anytime' && reasons.deadline !== undefined ? [`  ${later}`] : []),
    `  ${formatCount(Math.round(units))} ${spec.unit}s in a trial on average, ${formatCount(Math.round(exposed))} of them on a version that is not the best`,
  ];
}

/** Of an A/A test: how often it says that there is a difference, where there is none. */
function aaLines(_: Plan, spec: RuleSpec, { rate, traffic, simulated }: Described): string[] {
  const { alarms, inconclusive, horizonMs, units } = simulated;
  const versions = allOf(spec.arms.map(({ version }) => version));
  return [
    `${versions} at ${shown(rate, spec)}, with ${traffic}:`,
    `  no difference in ${percent(1 - alarms - inconclusive)} of the trials, which end after ${formatDuration(horizonMs)}`,
    `  a false alarm in ${percent(alarms)} of them, at most ${percent(falseAlarmsAtMost(spec))} are promised`,
    ...openClauses(spec, simulated).map((clause) => `  ${clause}`),
    `  ${formatCount(Math.round(units))} ${spec.unit}s in a trial on average`,
  ];
}

function shown(efficacy: number, { volume, unit }: RuleSpec): string {
  return formatEfficacy(efficacy, volume, { moreDecimals: 1, unit });
}

function competitorsOf(spec: RuleSpec): string {
  const others = spec.arms.filter(({ role }) => role === 'candidate').length - 1;
  if (controlOf(spec) === undefined) return others === 1 ? 'the other candidate' : 'the other candidates';
  if (others === 0) return 'the baseline';
  return `baseline and other candidate${others === 1 ? '' : 's'}`;
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
