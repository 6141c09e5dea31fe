import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { unknownServer } from '../server-name.ts';
import { actOnCommand } from './act-on.ts';

export function skipServerCommand(context: CliContext): Command {
  return actOnCommand(context, {
    name: 'skip-server',
    description: 'leave a server out of the upgrade, sealed off from traffic',
    action: 'skipServer',
    signal: async () => (await import('../../workflows/messages.ts')).skipServerSignal,
    target: ['--server <name>', 'name of the server in the plan'],
    help: `
Examples:
  $ changeover skip-server wealth --server blue-2`,
    payload: (by, { server }: { server: string }) => ({ by, server }),
    objection: ({ server }, status) => unknownServer(server, status),
  });
}
