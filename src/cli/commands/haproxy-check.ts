import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { ChangeoverError } from '../../domain/errors.ts';
import { print, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import { parseList } from '../list-option.ts';
import { readPlanFile } from '../plan-input.ts';

interface CheckOptions {
  readonly contextFor: readonly string[];
}

export function haproxyCheckCommand({ out, env }: CliContext): Command {
  return new Command('check')
    .description('say what a haproxy.cfg lacks for a plan, and what in it is in the way, line by line')
    .argument('<config>', 'the haproxy.cfg')
    .argument('<plan>', 'YAML or JSON file')
    .option(
      '--context-for <plans>',
      'plans of services behind the service, for which it has to decide as well: those of `render --context-for`',
      parseList,
      [],
    )
    .addHelpText(
      'after',
      `
Exit codes: 0 nothing is missing or in the way, 1 something is, 2 a file is wrong or cannot be read.

Examples:
  $ changeover haproxy check /etc/haproxy/haproxy.cfg plan.yaml
  $ changeover haproxy check /etc/haproxy/haproxy.cfg plan.yaml --context-for pricing.yaml`,
    )
    .action(async (configFile: string, planFile: string, { contextFor }: CheckOptions) => {
      const { checkConfig } = await import('../../haproxy/check-config.ts');
      const { findHaproxy, haproxyVerdict } = await import('../../haproxy/haproxy-command.ts');
      const { plan } = await readPlanFile(planFile);
      const inner = await Promise.all(contextFor.map(async (name) => (await readPlanFile(name)).plan));
      const text = await readFile(configFile, 'utf8').catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new ChangeoverError('InvalidRequest', `The configuration cannot be read: ${reason}.`, {
          cause,
        });
      });
      const haproxy = await findHaproxy(env);
      const verdict = haproxy === null ? null : await haproxyVerdict(haproxy, configFile);
      if (verdict !== null && !verdict.ok)
        throw new CliFailure(EXIT.badInput, `HAProxy itself refuses ${configFile}:\n${verdict.message}`);
      if (haproxy === null) print(out, 'HAProxy is not installed here; only the text was checked.');
      const problems = checkConfig(text, plan, inner);
      for (const { line, missing, write } of problems) {
        print(out, `${configFile}:${line}: ${missing}`);
        print(out, `    ${write}`);
      }
      if (problems.length > 0) throw new CliFailure(EXIT.failed);
      print(out, `${configFile} has all that an upgrade of ${plan.service} needs.`);
    });
}
