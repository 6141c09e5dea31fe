import { Command } from 'commander';
import type { UpgradeStatus } from '../../domain/upgrade/status.ts';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { unknownServer } from '../server-name.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

interface SkipServerOptions extends UpgradeAddress {
  readonly by: string;
  readonly server: string;
}

export function skipServerCommand(context: CliContext): Command {
  const command = new Command('skip-server').description(
    'leave a server out of the upgrade, sealed off from traffic',
  );
  return addUpgradeAddress(command)
    .requiredOption('--server <name>', 'name of the server in the plan')
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Examples:
  $ changeover skip-server wealth --server blue-2`,
    )
    .action(async (service: string | undefined, { by, server, ...options }: SkipServerOptions) => {
      const { sendAction } = await import('../send-action.ts');
      const { skipServerSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'skipServer',
        address: upgradeAddress(service, options),
        signal: skipServerSignal,
        payload: { by, server },
        objection: (status: UpgradeStatus) => unknownServer(server, status),
      });
    });
}
