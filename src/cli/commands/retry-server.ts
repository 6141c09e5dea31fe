import { Command } from 'commander';
import type { UpgradeStatus } from '../../domain/upgrade/status.ts';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { unknownServer } from '../server-name.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

interface RetryServerOptions extends UpgradeAddress {
  readonly by: string;
  readonly server: string;
}

export function retryServerCommand(context: CliContext): Command {
  const command = new Command('retry-server').description('try a server again that failed or was left out');
  return addUpgradeAddress(command)
    .requiredOption('--server <name>', 'name of the server in the plan')
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Examples:
  $ changeover retry-server wealth --server blue-2`,
    )
    .action(async (service: string | undefined, { by, server, ...options }: RetryServerOptions) => {
      const { sendAction } = await import('../send-action.ts');
      const { retryServerSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'retryServer',
        address: upgradeAddress(service, options),
        signal: retryServerSignal,
        payload: { by, server },
        objection: (status: UpgradeStatus) => unknownServer(server, status),
      });
    });
}
