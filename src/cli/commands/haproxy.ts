import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { haproxyCheckCommand } from './haproxy-check.ts';
import { haproxyRenderCommand } from './haproxy-render.ts';
import { haproxyServeCommand } from './haproxy-serve.ts';
import { haproxySyncCommand } from './haproxy-sync.ts';

export function haproxyCommand(context: CliContext): Command {
  return new Command('haproxy')
    .description('HAProxy as a gateway: its configuration, and the process beside it')
    .addHelpText(
      'after',
      `
Examples:
  $ changeover haproxy render plan.yaml --seed --output /etc/haproxy/haproxy.cfg
  $ changeover haproxy check /etc/haproxy/haproxy.cfg plan.yaml
  $ changeover haproxy serve --name gw-2 --service wealth --state /var/lib/changeover/gw-2`,
    )
    .addCommand(haproxyRenderCommand(context))
    .addCommand(haproxyCheckCommand(context))
    .addCommand(haproxySyncCommand(context))
    .addCommand(haproxyServeCommand(context));
}
