import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import type { CliContext } from '../context.ts';
import { listenOption, type parseListenAddress } from '../listen-address.ts';
import { processLogger } from '../process-logger.ts';
import { runProcess } from '../run-process.ts';

interface ControllerOptions {
  readonly listen: ReturnType<typeof parseListenAddress>;
  readonly state: string;
}

export function controllerCommand({ env }: CliContext): Command {
  return new Command('controller')
    .description('run the flow controller: route tables, publishing, the traffic observatory')
    .addOption(listenOption('--listen <host:port>', 'where its API listens', '127.0.0.1:7400'))
    .requiredOption('--state <dir>', 'folder for route tables and counters; one controller at a time uses it')
    .addHelpText(
      'after',
      `
Environment: CHANGEOVER_CONTROLLER_TOKEN (needed to listen on other hosts than loopback), CHANGEOVER_GATEWAY_TOKEN,
LOG_LEVEL; secrets also by file, as <NAME>_FILE.

Examples:
  $ changeover controller --state /var/lib/changeover
  $ changeover controller --listen 0.0.0.0:7400 --state /var/lib/changeover`,
    )
    .action(async ({ listen, state }: ControllerOptions) => {
      const { createController } = await import('../../controller/controller.ts');
      const { controllerConfigSchema } = await import('../../controller/config.ts');
      const { createGatewayOverHttp } = await import('../../adapters/gateway-over-http.ts');
      const { controller: own, gatewayToken, logLevel } = readConfig(env);
      const logger = processLogger('controller', { logLevel });
      const token = own.token === undefined ? {} : { token: own.token };
      const gatewayOptions = gatewayToken === undefined ? {} : { token: gatewayToken };
      const controller = createController(
        controllerConfigSchema.parse({ listen, stateDir: state, ...token }),
        {
          logger,
          gatewayFor: (address) => createGatewayOverHttp(address, gatewayOptions),
        },
      );
      await runProcess(
        {
          start: async () => {
            const { url } = await controller.start();
            logger.info({ url }, `flow controller listens on ${url}`);
            return undefined;
          },
          close: () => controller.close(),
        },
        logger,
      );
    });
}
