import { Command } from 'commander';
import { splitInsideGroups } from '../../domain/decision/group-words.ts';
import { OBSERVATIONAL } from '../../domain/decision/rule-words.ts';
import { simulatePlan } from '../../domain/decision/simulation/plan-trial.ts';
import { ruleSpecOf } from '../../domain/decision/spec-of.ts';
import { trialLengthMs } from '../../domain/upgrade/trial-stages.ts';
import { print, printJson, type CliContext } from '../context.ts';
import { readPlanFile } from '../plan-input.ts';
import {
  assertRates,
  durationMs,
  positive,
  rateList,
  shareOf,
  trafficOf,
  wholeNumber,
} from '../simulation-input.ts';
import { describeSimulation } from '../simulation-view.ts';

interface SimulateOptions {
  readonly rates: readonly number[];
  readonly traffic?: number;
  readonly horizon?: number;
  readonly runs: number;
  readonly seed: number;
  readonly spread: number;
  readonly json?: boolean;
}

export function simulateCommand({ out }: CliContext): Command {
  return new Command('simulate')
    .description("run a plan's decision rule many times on made-up traffic; connects to nothing")
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .requiredOption(
      '--rates <list>',
      'true efficacies, such as 0.10,0.11: the baseline first where it has a share',
      rateList,
    )
    .option('--traffic <number>', 'requests or accounts per second; decision.traffic by default', positive)
    .option(
      '--horizon <duration>',
      "a trial's end; decision.deadline, or the stages' length by default",
      durationMs,
    )
    .option('--runs <count>', 'trials', wholeNumber, 1000)
    .option('--seed <number>', 'the same seed gives the same trials', wholeNumber, 1)
    .option(
      '--spread <share>',
      'groups that are dealt apart have efficacies this much below and above --rates, such as 50%',
      shareOf,
      0,
    )
    .option(
      '--json',
      'answer as JSON: {runs, arms, wrong, inconclusive, alarms, units, exposed, timeMs, verdictMs}',
    )
    .addHelpText(
      'after',
      `
Every request (or account, decision.unit) falls to a version by chance, in the shares of the plan's stages and policy.
Where the policy deals groups at random (range, values), all groups are taken to be as large as each other.
Amounts and clicks are made up with a heavy tail: one in ten brings something, lognormal with σ 1.5.

Examples:
  $ changeover simulate plan.yaml --rates 0.10,0.11 --traffic 20
  $ changeover simulate plan.yaml --rates 10%,10%,10% --json | jq .wrong`,
    )
    .action(async (file: string, options: SimulateOptions) => {
      const { rates, traffic, horizon, runs, seed, spread, json = false } = options;
      const { plan } = await readPlanFile(file);
      assertRates(plan, rates, spread);
      const trafficPerSecond = trafficOf(plan, traffic);
      const horizonMs = horizon ?? trialLengthMs(plan);
      const result = simulatePlan({ plan, rates, trafficPerSecond, runs, seed, horizonMs, spread });
      if (json) return printJson(out, result);
      const spec = ruleSpecOf(plan);
      print(out, describeSimulation(spec, result));
      if (spec.comparison === 'segment') print(out, `${OBSERVATIONAL} ${splitInsideGroups(spec)}`);
    });
}
