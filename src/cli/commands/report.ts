import { Command, Option } from 'commander';
import { renderReport } from '../../domain/report/markdown.ts';
import { print, printJson, type CliContext } from '../context.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

interface ReportOptions extends UpgradeAddress {
  readonly format: 'md' | 'json';
  readonly json?: boolean;
}

export function reportCommand({ env, out }: CliContext): Command {
  const command = new Command('report').description(
    'print the report of an upgrade: final once it is over, else as it stands',
  );
  return addUpgradeAddress(command)
    .addOption(new Option('--format <format>', 'how').choices(['md', 'json']).default('md'))
    .option('--json', 'the same as --format json')
    .addHelpText(
      'after',
      `
A finished upgrade needs no worker to be reported.

Exit codes: 1 the run failed and has no report, 3 there is no such upgrade, 4 Temporal or a worker is not reachable.

Examples:
  $ changeover report wealth > report.md
  $ changeover report wealth --json | jq .decision.verdict.sentence`,
    )
    .action(async (service: string | undefined, { format, json = false, ...options }: ReportOptions) => {
      const { withUpgrade } = await import('../upgrade-access.ts');
      const { reportQuery } = await import('../../workflows/messages.ts');
      const report = await withUpgrade(
        env,
        upgradeAddress(service, options),
        async (upgrade) => (await upgrade.report()) ?? (await upgrade.query(reportQuery)),
      );
      if (json || format === 'json') printJson(out, report);
      else print(out, renderReport(report));
    });
}
