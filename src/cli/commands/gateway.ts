import { Command, InvalidArgumentError, Option } from 'commander';
import type { KeySource } from '../../domain/policy/policy.ts';
import { accountSettings, type AccountOptions } from '../account-options.ts';
import type { CliContext } from '../context.ts';
import {
  addGatewayControl,
  addGatewayIdentity,
  GATEWAY_ENVIRONMENT,
  runGateway,
  type GatewayProcessOptions,
} from '../gateway-process.ts';
import { durationOption, parseCountOption } from '../limit-option.ts';
import { parseList } from '../list-option.ts';
import { parseListenAddress } from '../listen-address.ts';

interface GatewayOptions extends GatewayProcessOptions, AccountOptions {
  readonly role: string;
  readonly contextFor: readonly string[];
  readonly contextKey?: KeySource;
  /** By default of the role. */
  readonly listen?: ReturnType<typeof parseListenAddress>;
  /** In milliseconds. */
  readonly shutdownGrace: number;
  /** In milliseconds. */
  readonly responseTimeout: number;
  readonly maxTransactions: number;
}

export function gatewayCommand({ env }: CliContext): Command {
  const command = addGatewayIdentity(
    new Command('gateway').description('run an embedded gateway: routes the traffic of one service'),
  )
    .addOption(
      new Option(
        '--role <role>',
        'edge: for clients, whose routing context is never believed; sidecar: for services that call this one',
      )
        .choices(['edge', 'sidecar'])
        .default('edge'),
    )
    .option(
      '--listen <host:port>',
      'where traffic comes in (default: 0.0.0.0:8080; a sidecar: 127.0.0.1:8080)',
      parseListenAddress,
    )
    .option(
      '--context-for <services>',
      'edge: services behind this one, for which it decides as well, such as pricing,ledger',
      parseList,
      [],
    )
    .option(
      '--context-key <source>',
      'with --context-for: where their key is found, if not where their plans say: header:NAME, cookie:NAME, query:NAME; needed where a plan says from: baggage',
      parseKeySource,
    );
  return addGatewayControl(command, {
    keeps: 'the route table executed last, open transactions and the accounts of a trial',
  })
    .addOption(
      durationOption(
        '--shutdown-grace <duration>',
        'at SIGTERM, what is in flight has this long to finish; then it is cut',
        '60s',
      ),
    )
    .addOption(
      durationOption(
        '--response-timeout <duration>',
        'a server has this long to begin its response; then the client gets 504',
        '60s',
      ),
    )
    .option(
      '--max-transactions <n>',
      'open transactions remembered at most; beyond it those idle for longest are forgotten',
      parseCountOption,
      100_000,
    )
    .addHelpText(
      'after',
      `${GATEWAY_ENVIRONMENT}

SIGTERM finishes what is in flight, for --shutdown-grace at most and some seconds for the final counters; whatever stops
the process has to wait for longer than that before it kills (stop_grace_period, TimeoutStopSec).

Examples:
  $ changeover gateway --name gw-1 --service wealth --listen 0.0.0.0:80 --state /var/lib/changeover/gw-1
  $ changeover gateway --name gw-1 --service wealth --context-for pricing --state /var/lib/changeover/gw-1
  $ changeover gateway --name side-1 --service pricing --role sidecar --state /var/lib/changeover/side-1`,
    )
    .action(async (options: GatewayOptions) => {
      const { createGateway } = await import('../../gateway/gateway.ts');
      const { gatewayConfigSchema } = await import('../../gateway/config.ts');
      await runGateway({
        ...{ what: 'gateway', options, env, schema: gatewayConfigSchema, create: createGateway },
        own: ownSettings(options),
      });
    });
}

function ownSettings(options: GatewayOptions) {
  const { role, contextFor, contextKey, listen, maxTransactions } = options;
  return {
    ...{ role, contextFor, maxTransactions, ...accountSettings(options) },
    ...(contextKey === undefined ? {} : { contextKey }),
    listen: listen ?? { host: role === 'sidecar' ? '127.0.0.1' : '0.0.0.0', port: 8080 },
    shutdownGraceMs: options.shutdownGrace,
    timeouts: { upstreamHeadersMs: options.responseTimeout },
  };
}

function parseKeySource(text: string): KeySource {
  const match = /^(?<from>header|cookie|query):(?<name>[^\s:]+)$/.exec(text);
  const { from, name = '' } = match?.groups ?? {};
  if (from === 'header' || from === 'cookie' || from === 'query') return { from, name };
  throw new InvalidArgumentError(
    'It must be header:NAME, cookie:NAME or query:NAME, such as header:x-account.',
  );
}
