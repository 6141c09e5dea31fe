import { Command } from 'commander';
import { print, printJson, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { checkPlanFile } from '../plan-input.ts';

export function validateCommand({ out, err }: CliContext): Command {
  return new Command('validate')
    .description('check a plan and name all that is wrong with it; connects to nothing')
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .option('--json', 'answer as JSON: {ok, problems: [{field, held, message, suggestion?}], message?}')
    .addHelpText(
      'after',
      `
Exit codes: 0 the plan is right, 2 it is wrong or cannot be read.

Examples:
  $ changeover validate plan.yaml
  $ changeover validate --json - < plan.json | jq '.problems[].field'`,
    )
    .action(async (file: string, { json = false }: { json?: boolean }) => {
      const check = await checkPlanFile(file);
      if (check.ok) {
        if (json) printJson(out, { ok: true, problems: [] });
        else print(out, summary(check.plan));
        return;
      }
      if (json) printJson(out, { ok: false, problems: check.problems, message: check.message });
      else print(err, check.message);
      throw new CliFailure(EXIT.badInput);
    });
}

type CheckedPlan = Extract<Awaited<ReturnType<typeof checkPlanFile>>, { ok: true }>['plan'];

function summary({ service, baseline, candidates, clusters, decision }: CheckedPlan): string {
  const servers = Object.values(clusters).reduce((sum, cluster) => sum + cluster.servers.length, 0);
  const versions = candidates.map((candidate) => candidate.version).join(', ');
  const what =
    decision.aaTest === true
      ? `an A/A test of ${service} by ${versions} beside ${baseline.version}`
      : `${service} from ${baseline.version} to the best of ${versions}`;
  return `The plan is right: ${what}, on ${servers} servers.`;
}
