import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

export function resumeCommand(context: CliContext): Command {
  const command = new Command('resume').description(
    'go on after a pause, or accept that servers are left out',
  );
  return addUpgradeAddress(command)
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Examples:
  $ changeover resume wealth --by "night shift"`,
    )
    .action(async (service: string | undefined, { by, ...options }: UpgradeAddress & { by: string }) => {
      const { sendAction } = await import('../send-action.ts');
      const { resumeSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'resume',
        address: upgradeAddress(service, options),
        signal: resumeSignal,
        payload: { by },
      });
    });
}
