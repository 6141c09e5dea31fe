import { Command } from 'commander';
import { splitInsideGroups } from '../../domain/decision/group-words.ts';
import { OBSERVATIONAL } from '../../domain/decision/rule-words.ts';
import { dealtGroups } from '../../domain/policy/groups.ts';
import { formatDuration } from '../../domain/duration.ts';
import { formatCount } from '../../domain/decision/sentence.ts';
import { ruleSpecOf } from '../../domain/decision/spec-of.ts';
import type { Plan } from '../../domain/plan/schema.ts';
import { outlineBatches, type OutlinedBatch } from '../../domain/upgrade/outline.ts';
import { shareOfStage, trialLengthMs } from '../../domain/upgrade/trial-stages.ts';
import { print, printJson, type CliContext } from '../context.ts';
import { expectationOf, outlook } from '../expected-verdict.ts';
import { measureRequests } from '../measured-traffic.ts';
import { readPlanFile } from '../plan-input.ts';
import { durationMs, positive, wholeNumber } from '../simulation-input.ts';

interface PlanOptions {
  readonly effect?: number;
  readonly traffic?: number;
  readonly measureTraffic?: number;
  readonly horizon?: number;
  readonly runs: number;
  readonly json?: boolean;
}

export function planCommand({ env, out }: CliContext): Command {
  return new Command('plan')
    .description('say what the run of a plan would do, and how long a verdict takes')
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .option(
      '--effect <number>',
      'difference of efficacies to be found; decision.epsilon by default',
      positive,
    )
    .option('--traffic <number>', 'requests or accounts per second; decision.traffic by default', positive)
    .option(
      '--measure-traffic <duration>',
      'read from the flow controller what comes at present, over this long, such as 10s',
      durationMs,
    )
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
the rate, an effect, or the traffic, and for amounts and clicks, which \`changeover simulate\` takes. The traffic is that of --traffic, or what was measured, or decision.traffic.
With --measure-traffic the requests that measure.allocated counts are measured at the gateways, those without a key
among them (CHANGEOVER_CONTROLLER_URL and CHANGEOVER_CONTROLLER_TOKEN say where the flow controller is); else nothing is
connected to. Where accounts are the unit they bound the traffic only: who is new is known once a trial counts.

Examples:
  $ changeover plan plan.yaml
  $ changeover plan plan.yaml --effect 0.01 --traffic 20
  $ changeover plan plan.yaml --measure-traffic 30s`,
    )
    .action(async (file: string, options: PlanOptions) => {
      const { plan } = await readPlanFile(file);
      const spec = ruleSpecOf(plan);
      const batches = outlineBatches(plan, plan.candidates[0]?.version ?? '');
      const { traffic, measureTraffic } = options;
      const measured =
        traffic !== undefined || measureTraffic === undefined
          ? undefined
          : await measureRequests(env, plan, measureTraffic);
      const input = measured === undefined ? options : { ...options, measured };
      const expected = expectationOf(plan, spec, input);
      if (options.json === true) {
        return printJson(out, {
          batches,
          stages: plan.trial.stages,
          decision: {
            rule: spec.rule,
            expected: typeof expected === 'string' ? null : expected,
            ...(measured === undefined
              ? {}
              : { measured: typeof measured === 'string' ? { problem: measured } : measured }),
          },
        });
      }
      print(out, [...outline(plan, batches), ...outlook(plan, spec, { expected, measured })].join('\n'));
    });
}

function outline(plan: Plan, batches: readonly OutlinedBatch[]): string[] {
  const { service, baseline, candidates, approval } = plan;
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
    `  3. trial: ${stagesOf(plan)} of the keys allotted to candidates`,
    ...staying(plan),
    ...dealing(plan),
    ...leading(plan),
    `  4. decision by ${plan.decision.rule}, ${approval === 'required' ? 'approved by an operator' : 'promoted by itself'}`,
    `  5. promotion, if ${candidates[0]?.version ?? ''} wins: all traffic to its cluster, then the others follow`,
    ...promotion.map(batchLine),
  ];
}

function stagesOf(plan: Plan): string {
  return plan.trial.stages
    .map(({ lengthMs }, stage) => `${percentOf(shareOfStage(plan, stage))} for ${formatDuration(lengthMs)}`)
    .join(', ');
}

/** What goes beyond the stages: keys that no stage draws, and a deadline. */
function staying(plan: Plan): string[] {
  const { baseline, trial, decision } = plan;
  return [
    ...(trial.baselineShare > 0
      ? [
          `     ${percentOf(trial.baselineShare)} of them stay on ${baseline.version} to the end, to compare with`,
        ]
      : []),
    ...(decision.deadlineMs === undefined
      ? []
      : [`     without a verdict it ends after ${formatDuration(trialLengthMs(plan))}`]),
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
  return [`     the candidate in front gets ${percentOf(leaderShare)} of what candidates get${where}`];
}

function batchLine({ servers, serving }: OutlinedBatch): string {
  const capacity = serving.perSecond === null ? '' : `, ${formatCount(serving.perSecond)} requests/s`;
  const who = serving.servers === 1 ? '1 server serves' : `${serving.servers} servers serve`;
  return `     ${servers.join(', ')}; meanwhile ${who}${capacity}`;
}

function percentOf(share: number): string {
  return `${round(share * 100)} %`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
