import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { actOnCommand } from './act-on.ts';

interface ExcludeOptions {
  readonly gateway: string;
  readonly reason: string;
}

export function excludeGatewayCommand(context: CliContext): Command {
  return actOnCommand(context, {
    name: 'exclude-gateway',
    description: 'declare a gateway gone that stays away, so that the upgrade no longer waits for it',
    action: 'excludeGateway',
    signal: async () => (await import('../../workflows/messages.ts')).excludeGatewaySignal,
    target: ['--gateway <name>', 'name of the gateway in the plan'],
    more: (command) => command.requiredOption('--reason <text>', 'why, for the record'),
    help: `
Only for a gateway whose traffic is off: power, or network on the side of its clients. What it had in flight and its open
transactions are given up. One that merely cannot be reached from the flow controller, but still serves its clients, goes
on by its old routes, and sends them to servers that are being changed: nobody can keep it from that. A gateway that
answers is refused (exit code 3).

It may be started again at any time: an embedded gateway opens its traffic port only when it has the current routes, and
from its acknowledgement of them on the upgrade waits for it again.

Examples:
  $ changeover exclude-gateway wealth --gateway gw-2 --reason "power supply burnt, switched off"`,
    payload: (by, { gateway, reason }: ExcludeOptions) => ({ by, gateway, reason }),
    objection: ({ gateway }, { gateways, service }) =>
      gateways === null || gateways.list.some(({ name }) => name === gateway)
        ? undefined
        : `The upgrade of ${service} has no gateway ${gateway}; it has ${gateways.list.map(({ name }) => name).join(', ')}.`,
    isAnnouncement: ({ what }) => what.startsWith('Declaring gateway'),
  });
}
