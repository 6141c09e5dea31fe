import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

export function pauseCommand(context: CliContext): Command {
  const command = new Command('pause').description('stop before the next step; traffic flows on');
  return addUpgradeAddress(command)
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Examples:
  $ changeover pause wealth --by "night shift"`,
    )
    .action(async (service: string | undefined, { by, ...options }: UpgradeAddress & { by: string }) => {
      const { sendAction } = await import('../send-action.ts');
      const { pauseSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'pause',
        address: upgradeAddress(service, options),
        signal: pauseSignal,
        payload: { by },
      });
    });
}
