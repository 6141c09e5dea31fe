import { DEFAULT_FILES, DEFAULT_SOCKET } from '../../haproxy/layout.ts';
import { Command } from 'commander';
import { accountSettings, type AccountOptions } from '../account-options.ts';
import type { CliContext } from '../context.ts';
import {
  addGatewayControl,
  addGatewayIdentity,
  GATEWAY_ENVIRONMENT,
  runGateway,
  type GatewayProcessOptions,
} from '../gateway-process.ts';
import { parseList } from '../list-option.ts';

interface ServeOptions extends GatewayProcessOptions, AccountOptions {
  readonly contextFor: readonly string[];
  readonly socket: string;
  readonly files: string;
}

export function haproxyServeCommand({ env }: CliContext): Command {
  const command = addGatewayIdentity(
    new Command('serve').description(
      'run beside an HAProxy: hands it route tables, and tells what it counts',
    ),
  )
    .option('--socket <address>', "HAProxy's Runtime API: unix@PATH or HOST:PORT", `unix@${DEFAULT_SOCKET}`)
    .option('--files <dir>', 'folder of its maps and of its server-state file', DEFAULT_FILES);
  const keeps = 'the route table executed last, the counters and the accounts of a trial';
  return addGatewayControl(command, { keeps })
    .option(
      '--context-for <services>',
      'services behind this one, for which HAProxy decides as well: those of `render --context-for`',
      parseList,
      [],
    )
    .addHelpText(
      'after',
      `${GATEWAY_ENVIRONMENT}

Examples:
  $ changeover haproxy serve --name gw-2 --service wealth --state /var/lib/changeover/gw-2`,
    )
    .action(async (options: ServeOptions) => {
      const { createCompanion } = await import('../../haproxy/companion.ts');
      const { companionConfigSchema } = await import('../../haproxy/companion-config.ts');
      const { socket, files, contextFor } = options;
      await runGateway({
        ...{ what: 'companion', options, env, schema: companionConfigSchema, create: createCompanion },
        own: { socket, filesDir: files, contextFor, ...accountSettings(options) },
      });
    });
}
