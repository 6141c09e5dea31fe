import { Command } from 'commander';
import { planJsonSchema } from '../../domain/plan/json-schema.ts';
import { printJson, type CliContext } from '../context.ts';

export function schemaCommand({ out }: CliContext): Command {
  return new Command('schema')
    .description('print the JSON Schema of plans, for editors')
    .addHelpText(
      'after',
      `
Examples:
  $ changeover schema > plan.schema.json
  and as the first line of a plan:  # yaml-language-server: $schema=plan.schema.json`,
    )
    .action(() => printJson(out, planJsonSchema()));
}
