import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

interface AbortOptions extends UpgradeAddress {
  readonly by: string;
  readonly reason: string;
}

export function abortCommand(context: CliContext): Command {
  const command = new Command('abort').description(
    'end the upgrade and bring the baseline back everywhere, without loss',
  );
  return addUpgradeAddress(command)
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Examples:
  $ changeover abort wealth --reason "market opens early"`,
    )
    .action(async (service: string | undefined, { by, reason, ...options }: AbortOptions) => {
      const { sendAction } = await import('../send-action.ts');
      const { abortSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'abort',
        address: upgradeAddress(service, options),
        signal: abortSignal,
        payload: { by, reason },
      });
    });
}
