import { Command } from 'commander';
import { print, printJson, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { exitCodeOfOutcome } from '../outcome.ts';
import { statusView } from '../status-view.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

export function statusCommand({ env, out }: CliContext): Command {
  const command = new Command('status').description(
    'show where an upgrade stands: phase, servers, traffic, efficacy',
  );
  return addUpgradeAddress(command)
    .option('--json', 'answer as JSON: {status, efficacy, gateways, timeline}')
    .addHelpText(
      'after',
      `
Examples:
  $ changeover status wealth
  $ changeover status wealth --json | jq '.efficacy.arms[] | {version, efficacy}'`,
    )
    .action(async (service: string | undefined, options: UpgradeAddress & { json?: boolean }) => {
      const { withUpgrade } = await import('../upgrade-access.ts');
      const { takeSnapshot } = await import('../snapshot.ts');
      const snapshot = await withUpgrade(env, upgradeAddress(service, options), async (upgrade) => {
        // Says why, where the run failed before it began.
        await upgrade.report();
        return takeSnapshot(upgrade, env);
      });
      if (options.json === true) printJson(out, snapshot);
      else print(out, statusView(snapshot, { nowMs: Date.now(), colour: out.isTTY === true }));
      const exitCode = exitCodeOfOutcome(snapshot.status.outcome);
      if (exitCode !== EXIT.ok) throw new CliFailure(exitCode);
    });
}
