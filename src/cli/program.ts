import { Command, CommanderError } from 'commander';
import { abortCommand } from './commands/abort.ts';
import { adoptCommand } from './commands/adopt.ts';
import { agentCommand } from './commands/agent.ts';
import { approveCommand } from './commands/approve.ts';
import { controllerCommand } from './commands/controller.ts';
import { excludeGatewayCommand } from './commands/exclude-gateway.ts';
import { extendCommand } from './commands/extend.ts';
import { gatewayCommand } from './commands/gateway.ts';
import { haproxyCommand } from './commands/haproxy.ts';
import { pauseCommand } from './commands/pause.ts';
import { planCommand } from './commands/plan.ts';
import { removeGatewayCommand } from './commands/remove-gateway.ts';
import { replayCommand } from './commands/replay.ts';
import { reportCommand } from './commands/report.ts';
import { resumeCommand } from './commands/resume.ts';
import { retryServerCommand } from './commands/retry-server.ts';
import { schemaCommand } from './commands/schema.ts';
import { simulateCommand } from './commands/simulate.ts';
import { skipServerCommand } from './commands/skip-server.ts';
import { startCommand } from './commands/start.ts';
import { statusCommand } from './commands/status.ts';
import { unlockCommand } from './commands/unlock.ts';
import { validateCommand } from './commands/validate.ts';
import { watchCommand } from './commands/watch.ts';
import { workerCommand } from './commands/worker.ts';
import { print, type CliContext } from './context.ts';
import { EXIT, EXIT_CODES_HELP, type ExitCode } from './exit-code.ts';
import { exitCodeOf, messageOf } from './failure.ts';

const GROUPS = [
  ['Plans:', [validateCommand, planCommand, simulateCommand, schemaCommand, adoptCommand]],
  ['Upgrades:', [startCommand, statusCommand, watchCommand, reportCommand, replayCommand]],
  [
    'Operating an upgrade:',
    [
      approveCommand,
      extendCommand,
      abortCommand,
      pauseCommand,
      resumeCommand,
      retryServerCommand,
      skipServerCommand,
      excludeGatewayCommand,
      unlockCommand,
      removeGatewayCommand,
    ],
  ],
  ['Processes:', [workerCommand, controllerCommand, gatewayCommand, haproxyCommand, agentCommand]],
] as const;

export function createProgram(context: CliContext): Command {
  const program = new Command('changeover')
    .description(
      'Upgrades live server clusters without losing a request, and lets real traffic decide which version stays.',
    )
    .option('--debug', 'on errors, show where they come from')
    .addHelpText('after', EXIT_CODES_HELP);
  for (const [title, commands] of GROUPS) {
    for (const create of commands) program.addCommand(create(context).helpGroup(title));
  }
  // Each command is its own: settings are not inherited by commands that were made elsewhere.
  const nested = program.commands.flatMap(({ commands }) => commands);
  for (const command of [program, ...program.commands, ...nested]) {
    command
      .exitOverride()
      .showHelpAfterError('(add --help for the options and examples)')
      .configureOutput({
        writeOut: (text) => void context.out.write(text),
        writeErr: (text) => void context.err.write(text),
      });
    if (command !== program) command.option('--debug', 'on errors, show where they come from');
  }
  return program;
}

/** Runs one command line; answers the exit code. Errors come as one message, without a stack. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const program = createProgram(context);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Commander has said already what it had to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    const message = messageOf(error, argv.includes('--debug'));
    if (message !== '') print(context.err, message);
    return exitCodeOf(error);
  }
}
