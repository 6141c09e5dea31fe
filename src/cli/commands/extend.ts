import { Command } from 'commander';
import { parseDurationMs } from '../../domain/duration.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { byOption } from '../operator.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

interface ExtendOptions extends UpgradeAddress {
  readonly by: string;
  readonly length: string;
}

export function extendCommand(context: CliContext): Command {
  const command = new Command('extend').description(
    'lengthen the last stage of the trial, to collect more samples',
  );
  return addUpgradeAddress(command)
    .requiredOption('--length <duration>', 'by how much, such as 10m')
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Examples:
  $ changeover extend wealth --length 30m`,
    )
    .action(async (service: string | undefined, { by, length, ...options }: ExtendOptions) => {
      if ((parseDurationMs(length) ?? 0) <= 0) {
        throw new CliFailure(
          EXIT.badInput,
          `--length held "${length}"; it must be a duration such as 90s, 10m or 1h.`,
        );
      }
      const { sendAction } = await import('../send-action.ts');
      const { extendSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'extend',
        address: upgradeAddress(service, options),
        signal: extendSignal,
        payload: { by, length },
      });
    });
}
