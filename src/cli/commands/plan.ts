import { Command } from 'commander';
import { splitInsideGroups } from '../../domain/decision/group-words.ts';
import { OBSERVATIONAL } from '../../domain/decision/rule-words.ts';
import { dealtGroups } from '../../domain/policy/groups.ts';
import { formatDuration } from '../../domain/duration.ts';
import { controlOf, isBounded, type RuleSpec } from '../../domain/decision/rule-spec.ts';
import { formatCount, formatEfficacy } from '../../domain/decision/sentence.ts';
import { simulatePlan, type SimulatedPlan } from '../../domain/decision/simulation/plan-trial.ts';
import { ruleSpecOf } from '../../domain/decision/spec-of.ts';
import { ChangeoverError } from '../../domain/errors.ts';
import type { Plan } from '../../domain/plan/schema.ts';
import { outlineBatches, type OutlinedBatch } from '../../domain/upgrade/outline.ts';
import { print, printJson, type CliContext } from '../context.ts';
import { readPlanFile } from '../plan-input.ts';
import { durationMs, horizonOf, positive, wholeNumber } from '../simulation-input.ts';

interface PlanOptions {
  readonly effect?: number;
  readonly traffic?: number;
  readonly horizon?: number;
  readonly runs: number;
  readonly json?: boolean;
}

/** What a verdict is expected to take where the first candidate is better than all others by the effect. */
interface Expectation {
  readonly effect: number;
  readonly rate: number;
  readonly trafficPerSecond: number;
  readonly horizonMs: number;
  readonly simulated: SimulatedPlan;
}

/** A trial is not looked at for longer, in milliseconds: 60 days. */
const FAR_MS = 60 * 24 * 3_600_000;

export function planCommand({ out }: CliContext): Command {
  return new Command('plan')
    .description('say what the run of a plan would do, and how long a verdict takes; connects to nothing')
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .option(
      '--effect <number>',
      'difference of efficacies to be found; decision.epsilon by default',
      positive,
    )
    .option('--traffic <number>', 'requests or accounts per second; decision.traffic by default', positive)
    .option(
      '--horizon <duration>',
      "a trial's end; decision.deadline, or the stages' length by default",
      durationMs,
    )
    .option('--runs <count>', 'simulated trials behind the expected times', wholeNumber, 200)
    .option('--json', 'answer as JSON: {batches, stages, decision}')
    .addHelpText(
      'after',
      `
Expected times come from simulated trials at decision.expectedRate. They are left out where the plan does not say
the rate, an effect, or the traffic.

Examples:
  $ changeover plan plan.yaml
  $ changeover plan plan.yaml --effect 0.01 --traffic 20`,
    )
    .action(async (file: string, options: PlanOptions) => {
      const { plan } = await readPlanFile(file);
      const spec = ruleSpecOf(plan);
      const batches = outlineBatches(plan, plan.candidates[0]?.version ?? '');
      const expected = expectationOf(plan, spec, options);
      if (options.json === true) {
        return printJson(out, {
          batches,
          stages: plan.trial.stages,
          decision: { rule: spec.rule, expected: typeof expected === 'string' ? null : expected },
        });
      }
      print(out, [...outline(plan, batches), ...outlook(spec, expected)].join('\n'));
    });
}

/** The expectation, or what is missing for one. */
function expectationOf(plan: Plan, spec: RuleSpec, options: PlanOptions): Expectation | string {
  const { decision } = plan;
  const effect = options.effect ?? decision.epsilon;
  const trafficPerSecond = options.traffic ?? decision.traffic;
  const rate = decision.expectedRate;
  const missing = [
    ...(isBounded(spec) ? ['an expectation of amounts: use `changeover simulate`'] : []),
    ...(rate === undefined ? ['decision.expectedRate'] : []),
    ...(effect === undefined || effect === 0 ? ['decision.epsilon or --effect'] : []),
    ...(trafficPerSecond === undefined ? ['decision.traffic or --traffic'] : []),
  ];
  if (missing.length > 0 || rate === undefined || effect === undefined || trafficPerSecond === undefined) {
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
  const horizonMs = options.horizon ?? (spec.rule === 'anytime' ? (decision.deadlineMs ?? FAR_MS) : stagesMs);
  const simulated = simulatePlan({ plan, rates, trafficPerSecond, runs: options.runs, seed: 1, horizonMs });
  return { effect, rate, trafficPerSecond, horizonMs, simulated };
}

function outline(plan: Plan, batches: readonly OutlinedBatch[]): string[] {
  const { service, baseline, candidates, trial, approval } = plan;
  const trialBatches = batches.filter(({ part }) => part === 'trial');
  const promotion = batches.filter(({ part }) => part === 'promotion');
  if (plan.decision.aaTest === true) {
    return [
      `An A/A test of ${service}: ${candidates.map(({ version }) => version).join(', ')} beside ${baseline.version}`,
      '  1. preflight: lock, agents, gateways, packages, capacity',
      '  2. the clusters of the test out of traffic, upgraded and ready',
      ...trialBatches.map(batchLine),
      '  3. trial: the same version on each of them has to do the same; whatever it shows, nothing is promoted',
      '  4. every cluster back to the baseline',
    ];
  }
  return [
    `${service} from ${baseline.version} to the best of ${candidates.map(({ version }) => version).join(', ')}:`,
    '  1. preflight: lock, agents, gateways, packages, capacity',
    '  2. candidate clusters out of traffic, upgraded and ready',
    ...trialBatches.map(batchLine),
    `  3. trial: ${trial.stages.map(({ share, lengthMs }) => `${round(share * 100)} % for ${formatDuration(lengthMs)}`).join(', ')} of the keys allotted to candidates`,
    ...dealing(plan),
    ...leading(plan),
    `  4. decision by ${plan.decision.rule}, ${approval === 'required' ? 'approved by an operator' : 'promoted by itself'}`,
    `  5. promotion, if ${candidates[0]?.version ?? ''} wins: all traffic to its cluster, then the others follow`,
    ...promotion.map(batchLine),
  ];
}

/** What the policy's groups let be compared. */
function dealing(plan: Plan): string[] {
  const spec = ruleSpecOf(plan);
  if (spec.comparison === 'segment') return [`     ${OBSERVATIONAL}`, `     ${splitInsideGroups(spec)}`];
  return dealtGroups(plan.traffic.policy).map(({ name, weights }) => {
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    const shares = Object.entries(weights).map(
      ([version, weight]) => `${version} ${round((100 * weight) / total)} %`,
    );
    return `     group ${name}, dealt at random: ${shares.join(', ')}`;
  });
}

/** What the candidate in front gets, where the plan says it. */
function leading({ decision: { leaderShare }, traffic: { policy } }: Plan): string[] {
  if (leaderShare === undefined) return [];
  const where = policy.kind === 'hash' ? '' : ' in each group';
  return [`     the candidate in front gets ${round(leaderShare * 100)} % of what candidates get${where}`];
}

function batchLine({ servers, serving }: OutlinedBatch): string {
  const capacity = serving.perSecond === null ? '' : `, ${formatCount(serving.perSecond)} requests/s`;
  return `     ${servers.join(', ')}; meanwhile ${serving.servers} servers serve${capacity}`;
}

function outlook(spec: RuleSpec, expected: Expectation | string): string[] {
  if (typeof expected === 'string') return [expected];
  const { effect, rate, trafficPerSecond, horizonMs, simulated } = expected;
  const { timeMs, units, exposed, inconclusive } = simulated;
  const shown = (value: number): string =>
    formatEfficacy(value, spec.volume, { moreDecimals: 1, unit: spec.unit });
  const against = controlOf(spec) === undefined ? 'the other candidates' : 'baseline and other candidates';
  return [
    `A candidate at ${shown(rate + effect)} against ${against} at ${shown(rate)}, with ${round(trafficPerSecond)} ${spec.unit}s per second:`,
    `  verdict within ${formatDuration(timeMs.mean)} on average, ${formatDuration(timeMs.p95)} in 95 of 100 trials`,
    `  ${formatCount(Math.round(units))} ${spec.unit}s in the trial until then, ${formatCount(Math.round(exposed))} of them on a version that is not the best`,
    ...(inconclusive > 0
      ? [
          `  ${round(inconclusive * 100)} % of the trials end after ${formatDuration(horizonMs)} without a verdict`,
        ]
      : []),
  ];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
