import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { listenOption, type parseListenAddress } from '../listen-address.ts';
import { processLogger } from '../process-logger.ts';
import { runProcess } from '../run-process.ts';
import { DEFAULT_FILES, DEFAULT_SOCKET } from './haproxy-render.ts';

interface ServeOptions {
  readonly name: string;
  readonly service: string;
  readonly socket: string;
  readonly files: string;
  readonly admin: ReturnType<typeof parseListenAddress>;
  /** False: `--no-controller`. */
  readonly controller?: string | false;
  readonly state: string;
  readonly lookupDir?: string;
}

export function haproxyServeCommand({ env }: CliContext): Command {
  return new Command('serve')
    .description('run beside an HAProxy: hands it route tables, and tells what it counts')
    .requiredOption('--name <name>', 'name of the gateway, as in the plan')
    .requiredOption('--service <name>', 'service that it routes')
    .option('--socket <address>', "HAProxy's Runtime API: unix@PATH or HOST:PORT", `unix@${DEFAULT_SOCKET}`)
    .option('--files <dir>', 'folder of its maps and of its server-state file', DEFAULT_FILES)
    .addOption(listenOption('--admin <host:port>', 'where its admin API listens', '127.0.0.1:7080'))
    .option('--controller <url>', 'the flow controller; CHANGEOVER_CONTROLLER_URL by default')
    .option('--no-controller', 'routes only come by its admin API')
    .requiredOption('--state <dir>', 'folder for the route table executed last and the counters')
    .option('--lookup-dir <dir>', 'folder of the lookup files that policies may name')
    .addHelpText(
      'after',
      `
Environment: CHANGEOVER_CONTROLLER_URL, CHANGEOVER_CONTROLLER_TOKEN, CHANGEOVER_GATEWAY_TOKEN, LOG_LEVEL; secrets also by
file, as <NAME>_FILE.

Examples:
  $ changeover haproxy serve --name gw-2 --service wealth --state /var/lib/changeover/gw-2`,
    )
    .action(async (options: ServeOptions) => {
      const { createCompanion } = await import('../../haproxy/companion.ts');
      const { config, logLevel } = await companionConfig(options, env);
      const logger = processLogger('gateway', { logLevel });
      const companion = createCompanion(config, { logger });
      await runProcess(
        {
          start: async () => {
            await companion.start();
            return undefined;
          },
          close: () => companion.close(),
        },
        logger,
      );
    });
}

async function companionConfig(
  { controller, state, files, lookupDir, ...options }: ServeOptions,
  env: NodeJS.ProcessEnv,
) {
  const { companionConfigSchema } = await import('../../haproxy/companion-config.ts');
  const { controller: central, gatewayToken, logLevel } = readConfig(env);
  const parsed = companionConfigSchema.safeParse({
    ...options,
    filesDir: files,
    stateDir: state,
    ...(controller === false ? {} : { controllerUrl: controller ?? central.url }),
    ...(central.token === undefined ? {} : { controllerToken: central.token }),
    ...(gatewayToken === undefined ? {} : { adminToken: gatewayToken }),
    ...(lookupDir === undefined ? {} : { lookupDir }),
  });
  if (parsed.success) return { config: parsed.data, logLevel };
  const lines = parsed.error.issues.map((issue) => `  - ${issue.path.join('.')}: ${issue.message}`);
  throw new CliFailure(EXIT.badInput, ['The companion cannot be configured so:', ...lines].join('\n'));
}
