import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import type { CliContext } from '../context.ts';
import { processLogger } from '../process-logger.ts';
import { runProcess } from '../run-process.ts';

export function agentCommand({ env }: CliContext): Command {
  return new Command('agent')
    .description("run the agent next to a server's software: installs, starts, watches and upgrades it")
    .requiredOption('--config <file>', 'its configuration, YAML or JSON')
    .addHelpText(
      'after',
      `
Environment: LOG_LEVEL, and the token variable that the configuration names.

Examples:
  $ changeover agent --config /etc/changeover/agent.yaml`,
    )
    .action(async ({ config: file }: { config: string }) => {
      const { createAgent } = await import('../../agent/agent.ts');
      const { loadAgentConfig } = await import('../../agent/config.ts');
      const config = await loadAgentConfig(file);
      const logger = processLogger('agent', readConfig(env));
      const agent = createAgent(config, { logger, env });
      await runProcess(
        {
          start: async () => {
            await agent.start();
            return undefined;
          },
          close: () => agent.close(),
        },
        logger,
      );
    });
}
