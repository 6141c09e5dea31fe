import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { print, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { addGatewayIdentity } from '../gateway-process.ts';
import { durationOption } from '../limit-option.ts';
import { processLogger } from '../process-logger.ts';
import type { InnerOutcome } from '../../haproxy/sync.ts';
import { parseList } from '../list-option.ts';
import { DEFAULT_FILES } from './haproxy-render.ts';

/** Where packages of HAProxy have it. */
const DEFAULT_CONFIG = '/etc/haproxy/haproxy.cfg';

interface SyncOptions {
  readonly name: string;
  readonly service: string;
  readonly files: string;
  readonly socket?: string;
  readonly controller?: string;
  readonly state: string;
  readonly lookupDir?: string;
  readonly patience: number;
  readonly contextFor: readonly string[];
  readonly config: string;
}

export function haproxySyncCommand({ out, env }: CliContext): Command {
  return addGatewayIdentity(
    new Command('sync').description(
      'bring the files of an HAProxy up to date before it starts (ExecStartPre= of its service)',
    ),
  )
    .option('--files <dir>', 'folder of its maps and of its server-state file', DEFAULT_FILES)
    .option(
      '--socket <address>',
      'its Runtime API, unix@PATH or HOST:PORT: where an HAProxy answers there, nothing is changed',
    )
    .option('--controller <url>', 'the flow controller; CHANGEOVER_CONTROLLER_URL by default')
    .requiredOption('--state <dir>', 'state folder of its companion')
    .option('--lookup-dir <dir>', 'folder of the lookup files that policies may name')
    .addOption(durationOption('--patience <duration>', 'how long to ask while an upgrade holds it', '10s'))
    .option(
      '--context-for <services>',
      'services behind this one, for which HAProxy decides as well: those of its companion',
      parseList,
      [],
    )
    .option('--config <file>', 'with --context-for: the haproxy.cfg', DEFAULT_CONFIG)
    .addHelpText(
      'after',
      `
Exit codes: 0 HAProxy may start: its files hold the current routes, or no upgrade was under way when the flow controller
was heard of last; or it runs at --socket already; 2 the files do not fit; 3 it is fenced; 4 an upgrade was under way and the flow controller is away.

Environment: CHANGEOVER_CONTROLLER_URL, CHANGEOVER_CONTROLLER_TOKEN, LOG_LEVEL; secrets also by file, as <NAME>_FILE.

Examples:
  $ changeover haproxy sync --name gw-2 --service wealth --state /var/lib/changeover/gw-2`,
    )
    .action(async ({ files, state, controller, patience, config, ...options }: SyncOptions) => {
      const { syncFiles } = await import('../../haproxy/sync.ts');
      const { controller: central } = readConfig(env);
      const outcome = await syncFiles(
        {
          ...options,
          lookupDir: options.lookupDir,
          socket: options.socket,
          filesDir: files,
          stateDir: state,
          controllerUrl: controller ?? central.url,
          controllerToken: central.token,
          patienceMs: patience,
          configFile: config,
        },
        // One line says it all.
        processLogger('sync', { logLevel: 'silent' }),
      );
      if (outcome.kind === 'current' || outcome.kind === 'asLeft')
        for (const each of outcome.inner) print(out, innerLine(each));
      if (outcome.kind === 'running')
        print(
          out,
          `HAProxy runs already, as process ${outcome.pid}; nothing was changed, its companion hands it the routes.`,
        );
      else if (outcome.kind === 'current')
        print(out, `HAProxy starts by the current routes, version ${outcome.version}.`);
      else if (outcome.kind === 'asLeft')
        print(
          out,
          `The flow controller is away; HAProxy starts by the routes it had, version ${outcome.version}.`,
        );
      else if (outcome.reached)
        throw new CliFailure(
          EXIT.notNow,
          `HAProxy must not start: the flow controller has declared ${options.name} gone in upgrade ${outcome.upgrade} and not taken it back yet; try again.`,
        );
      else
        throw new CliFailure(
          EXIT.unreachable,
          `HAProxy must not start: upgrade ${outcome.upgrade} was under way when the flow controller was heard of last, and it does not answer at ${controller ?? central.url}; others may serve by newer routes.`,
        );
    });
}

function innerLine({ service, version, reached, fits }: InnerOutcome): string {
  if (version === 0) return `Of ${service} no routes are known: its sidecars decide.`;
  const routes = `routes of ${service}, version ${version}`;
  if (!fits)
    return `HAProxy has no rules for the ${routes}: its sidecars decide; render with its plan (--context-for) and reload.`;
  return reached
    ? `HAProxy decides by the current ${routes}.`
    : `The flow controller did not give routes of ${service}; HAProxy decides by those it had, version ${version}.`;
}
