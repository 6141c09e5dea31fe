import { Command } from 'commander';
import { print, printJson, type CliContext } from '../context.ts';

interface StartOptions {
  readonly workflowId?: string;
  readonly json?: boolean;
}

export function startCommand({ env, out }: CliContext): Command {
  return new Command('start')
    .description('start the upgrade that a plan describes')
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .option('--workflow-id <id>', 'id of the run in Temporal; upgrade-<service> by default')
    .option('--json', 'answer as JSON: {service, workflowId, runId, link?}')
    .addHelpText(
      'after',
      `
The plan is checked first. One upgrade per service runs at a time. TEMPORAL_ADDRESS and its siblings say where Temporal
is; TEMPORAL_UI_URL, where it is set, makes a link.

Exit codes: 2 the plan is wrong, 3 an upgrade of the service runs already, 4 Temporal is not reachable.

Examples:
  $ changeover start plan.yaml && changeover watch wealth
  $ changeover start plan.yaml --json | jq -r .runId`,
    )
    .action(async (file: string, { workflowId, json = false }: StartOptions) => {
      const { describeStart, startFromFile } = await import('../../starter.ts');
      const started = await startFromFile(file, { workflowId, env });
      if (json) printJson(out, started);
      else print(out, describeStart(started));
    });
}
