import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { unknownServer } from '../server-name.ts';
import { actOnCommand } from './act-on.ts';

export function retryServerCommand(context: CliContext): Command {
  return actOnCommand(context, {
    name: 'retry-server',
    description: 'try a server again that failed or was left out',
    action: 'retryServer',
    signal: async () => (await import('../../workflows/messages.ts')).retryServerSignal,
    target: ['--server <name>', 'name of the server in the plan'],
    help: `
Examples:
  $ changeover retry-server wealth --server blue-2`,
    payload: (by, { server }: { server: string }) => ({ by, server }),
    objection: ({ server }, status) => unknownServer(server, status),
  });
}
