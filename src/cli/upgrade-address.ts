import type { Command } from 'commander';
import { EXIT } from './exit-code.ts';
import { CliFailure } from './failure.ts';

/** Which upgrade a command is about. */
export interface UpgradeAddress {
  readonly service?: string;
  readonly workflowId?: string;
}

/** `[service]`, or `--service`, or `--workflow-id`: one of the three. */
export function addUpgradeAddress(command: Command): Command {
  return command
    .argument('[service]', 'service whose upgrade is meant')
    .option('--service <name>', 'the same as an option')
    .option('--workflow-id <id>', 'id of the run in Temporal, where it is not upgrade-<service>');
}

/** @throws CliFailure `badInput` where nothing, or two different services, are named. */
export function upgradeAddress(positional: string | undefined, options: UpgradeAddress): UpgradeAddress {
  const { workflowId } = options;
  if (workflowId !== undefined) return { workflowId };
  if (positional !== undefined && options.service !== undefined && positional !== options.service) {
    throw new CliFailure(EXIT.badInput, `Two services are named, ${positional} and ${options.service}.`);
  }
  const service = positional ?? options.service;
  if (service === undefined) {
    throw new CliFailure(EXIT.badInput, 'Name the service, such as `changeover status wealth`.');
  }
  return { service };
}
