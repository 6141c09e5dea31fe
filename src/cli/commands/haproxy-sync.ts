import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { ChangeoverError } from '../../domain/errors.ts';
import { print, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure, exitCodeOf } from '../failure.ts';
import { addGatewayIdentity } from '../gateway-process.ts';
import { durationOption } from '../limit-option.ts';
import { processLogger } from '../process-logger.ts';
import { DEFAULT_FILES } from '../../haproxy/layout.ts';
import type { InnerOutcome, SyncOutcome } from '../../haproxy/sync.ts';
import { parseList } from '../list-option.ts';

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
Exit codes: 0 HAProxy may start: its files hold the current routes, or the flow controller gives none and no upgrade was
under way when it gave some last; or it runs at --socket already; 1 the flow controller refuses the token; 2 the files do
not fit the routes; else an upgrade was under way: 3 this gateway was declared gone, or the service is not adopted; 4 the
flow controller cannot be reached.

Environment: CHANGEOVER_CONTROLLER_URL, CHANGEOVER_CONTROLLER_TOKEN, LOG_LEVEL; secrets also by file, as <NAME>_FILE.

Examples:
  $ changeover haproxy sync --name gw-2 --service wealth --state /var/lib/changeover/gw-2`,
    )
    .action(async ({ files, state, controller, patience, config, ...options }: SyncOptions) => {
      const { syncFiles } = await import('../../haproxy/sync.ts');
      const { controller: central } = readConfig(env);
      const controllerUrl = controller ?? central.url;
      const outcome = await syncFiles(
        {
          ...options,
          lookupDir: options.lookupDir,
          socket: options.socket,
          filesDir: files,
          stateDir: state,
          controllerUrl,
          controllerToken: central.token,
          patienceMs: patience,
          configFile: config,
        },
        // One line says it all.
        processLogger('sync', { logLevel: 'silent' }),
      ).catch((error: unknown) => {
        throw withWhatFollows(error, controllerUrl);
      });
      if (outcome.kind === 'current' || outcome.kind === 'asLeft')
        for (const each of outcome.inner) print(out, innerLine(each));
      if (outcome.kind === 'held') throw heldFailure(outcome, { ...options, controllerUrl });
      print(out, startLine(outcome, { ...options, controllerUrl }));
    });
}

/** Where it was asked, and for what. */
interface Asked {
  readonly name: string;
  readonly service: string;
  readonly controllerUrl: string;
}

function startLine(outcome: Exclude<SyncOutcome, { kind: 'held' }>, asked: Asked): string {
  switch (outcome.kind) {
    case 'running':
      return `HAProxy runs already, as process ${outcome.pid}; nothing was changed, its companion hands it the routes.`;
    case 'current':
      return `HAProxy starts by the current routes, version ${outcome.version}.`;
    case 'asLeft': {
      const by =
        outcome.version === 0
          ? 'without routes: it answers 503 until its companion has some'
          : `by the routes it had, version ${outcome.version}`;
      return `${whyText(outcome.why, asked)}; HAProxy starts ${by}.`;
    }
  }
}

function heldFailure({ upgrade, why }: Extract<SyncOutcome, { kind: 'held' }>, asked: Asked): CliFailure {
  if (why === null)
    return new CliFailure(
      EXIT.notNow,
      `HAProxy must not start: the flow controller has declared ${asked.name} gone in upgrade ${upgrade} and not taken it back yet; try again.`,
    );
  return new CliFailure(
    exitCodeOf(why),
    `HAProxy must not start: upgrade ${upgrade} was under way when the flow controller gave routes last; others may serve by newer ones. ${whyText(why, asked)}.`,
    { cause: why },
  );
}

function whyText({ code, message }: ChangeoverError, { service, controllerUrl }: Asked): string {
  if (code === 'ControllerUnreachable')
    return `The flow controller cannot be reached at ${controllerUrl} (${withoutStop(message)})`;
  if (code === 'ServiceUnknown')
    return `The flow controller at ${controllerUrl} does not know ${service}: it is not adopted yet`;
  return `The flow controller at ${controllerUrl} gave no routes (${withoutStop(message)})`;
}

function withWhatFollows(error: unknown, controllerUrl: string): unknown {
  if (!(error instanceof ChangeoverError) || error.code !== 'Unauthorized') return error;
  return new CliFailure(
    exitCodeOf(error),
    `HAProxy must not start: the flow controller at ${controllerUrl} refuses the token in CHANGEOVER_CONTROLLER_TOKEN, or there is none (${withoutStop(error.message)}), so that nobody knows whether the routes here are current.`,
    { cause: error },
  );
}

function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, '');
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
