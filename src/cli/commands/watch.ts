import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { exitCodeOfOutcome } from '../outcome.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

export function watchCommand({ env, out }: CliContext): Command {
  const command = new Command('watch').description(
    'follow an upgrade to its end: live on a terminal, a line per change in a pipe',
  );
  return addUpgradeAddress(command)
    .addHelpText(
      'after',
      `
Ends with the upgrade: 0 where it promoted a winner, 1 where it rolled back, left servers out or failed. Ctrl-C ends only
the watching.

Examples:
  $ changeover watch wealth
  $ changeover watch wealth | tee upgrade.log`,
    )
    .action(async (service: string | undefined, options: UpgradeAddress) => {
      const { withUpgrade } = await import('../upgrade-access.ts');
      const { watchUpgrade } = await import('../watch-upgrade.ts');
      const outcome = await withUpgrade(env, upgradeAddress(service, options), (upgrade) =>
        watchUpgrade(upgrade, { env, out }),
      );
      const exitCode = exitCodeOfOutcome(outcome);
      if (exitCode !== EXIT.ok) throw new CliFailure(exitCode);
    });
}
