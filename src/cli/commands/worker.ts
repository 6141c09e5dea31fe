import { Command } from 'commander';
import type { CliContext } from '../context.ts';

export function workerCommand({ env }: CliContext): Command {
  return new Command('worker')
    .description('run a worker: takes the steps of upgrades; run two or more for safety')
    .addHelpText(
      'after',
      `
Environment: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and their siblings (TLS, API key), CHANGEOVER_CONTROLLER_URL,
CHANGEOVER_CONTROLLER_TOKEN, CHANGEOVER_AGENT_TOKEN, CHANGEOVER_REPORT_DIR (reports as files), LOG_LEVEL; secrets also by
file, as <NAME>_FILE. For plans with a metrics source: CHANGEOVER_METRICS_HOSTS (hosts that may be read by http and at
private addresses, such as prometheus:9090), and what the plan names, CHANGEOVER_METRICS_….

Examples:
  $ TEMPORAL_ADDRESS=temporal.bank.example:7233 changeover worker`,
    )
    .action(async () => {
      const { runWorker } = await import('../worker-process.ts');
      await runWorker(env);
    });
}
