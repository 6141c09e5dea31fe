import { Command } from 'commander';
import { print, type CliContext } from '../context.ts';
import { askController } from '../controller-access.ts';
import { byOption } from '../operator.ts';

export function removeGatewayCommand({ env, out }: CliContext): Command {
  return new Command('remove-gateway')
    .description('forget a gateway that is gone for good; upgrades no longer wait for it')
    .argument('<service>', 'service that it routed')
    .argument('<gateway>', 'its name, as in the plan')
    .addOption(byOption(env))
    .addHelpText(
      'after',
      `
Stop the gateway first: one that runs on would route by routes that nobody checks any more. Not possible during an
upgrade (exit code 3). CHANGEOVER_CONTROLLER_URL and CHANGEOVER_CONTROLLER_TOKEN say where the flow controller is.

Examples:
  $ changeover remove-gateway wealth gw-2`,
    )
    .action(async (service: string, gateway: string, { by }: { by: string }) => {
      await askController(env, (controller) => controller.removeGateway(service, { gateway, by }));
      print(out, `${gateway} is no longer a gateway of ${service} (${by}).`);
    });
}
