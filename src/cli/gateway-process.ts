import { addAccountOptions } from './account-options.ts';
import type { Command } from 'commander';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { readConfig } from '../config.ts';
import { EXIT } from './exit-code.ts';
import { CliFailure } from './failure.ts';
import { listenOption, type parseListenAddress } from './listen-address.ts';
import { processLogger } from './process-logger.ts';
import { runProcess } from './run-process.ts';

/** Options of whatever is a gateway, embedded or beside an HAProxy. */
export interface GatewayProcessOptions {
  readonly name: string;
  readonly service: string;
  readonly admin: ReturnType<typeof parseListenAddress>;
  /** False: `--no-controller`. */
  readonly controller?: string | false;
  readonly state: string;
  readonly lookupDir?: string;
}

export const GATEWAY_ENVIRONMENT = `
Environment: CHANGEOVER_CONTROLLER_URL, CHANGEOVER_CONTROLLER_TOKEN, CHANGEOVER_GATEWAY_TOKEN, LOG_LEVEL; secrets also by
file, as <NAME>_FILE.`;

/** Adds which gateway of which service it is; the options of its kind come after these. */
export function addGatewayIdentity(command: Command): Command {
  return command
    .requiredOption('--name <name>', 'name of the gateway, as in the plan')
    .requiredOption('--service <name>', 'service that it routes');
}

/** Adds the way to the controller and back, and where it keeps what must survive a restart. */
export function addGatewayControl(command: Command, { keeps }: { keeps: string }): Command {
  const controlled = command
    .addOption(listenOption('--admin <host:port>', 'where its admin API listens', '127.0.0.1:7080'))
    .option('--controller <url>', 'the flow controller; CHANGEOVER_CONTROLLER_URL by default')
    .option('--no-controller', 'routes only come by its admin API')
    .requiredOption('--state <dir>', `folder for ${keeps}`)
    .option('--lookup-dir <dir>', 'folder of the lookup files that policies may name');
  return addAccountOptions(controlled);
}

/**
 * Runs it until it is told to end. It says itself where it listens, once it has routes.
 *
 * @throws CliFailure `badInput` with all that is wrong with options and environment
 */
export async function runGateway<Config>(parts: {
  /** `gateway`, or what else it is called in messages. */
  what: string;
  options: GatewayProcessOptions;
  env: NodeJS.ProcessEnv;
  schema: z.ZodType<Config>;
  /** Settings of its kind. */
  own: Readonly<Record<string, unknown>>;
  create: (config: Config, deps: { logger: Logger }) => { start(): Promise<void>; close(): Promise<void> };
}): Promise<void> {
  const { controller, state, lookupDir, name, service, admin } = parts.options;
  const { controller: central, gatewayToken, logLevel } = readConfig(parts.env);
  const parsed = parts.schema.safeParse({
    ...{ ...parts.own, name, service, admin, stateDir: state },
    ...(controller === false ? {} : { controllerUrl: controller ?? central.url }),
    ...(central.token === undefined ? {} : { controllerToken: central.token }),
    ...(gatewayToken === undefined ? {} : { adminToken: gatewayToken }),
    ...(lookupDir === undefined ? {} : { lookupDir }),
  });
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  - ${issue.path.join('.')}: ${issue.message}`);
    throw new CliFailure(EXIT.badInput, [`The ${parts.what} cannot be configured so:`, ...lines].join('\n'));
  }
  const logger = processLogger('gateway', { logLevel });
  const gateway = parts.create(parsed.data, { logger });
  const start = async (): Promise<undefined> => {
    await gateway.start();
    return undefined;
  };
  await runProcess({ start, close: () => gateway.close() }, logger);
}
