import { Command } from 'commander';
import { createFlowController } from '../../adapters/flow-controller.ts';
import { readConfig } from '../../config.ts';
import { planToServiceDefinition } from '../../domain/plan/service-definition.ts';
import { print, type CliContext } from '../context.ts';
import { readPlanFile } from '../plan-input.ts';

export function adoptCommand({ env, out }: CliContext): Command {
  return new Command('adopt')
    .description(
      'take a service under management: its first route table, with every server of the plan on the baseline',
    )
    .argument('<plan>', 'YAML or JSON file; - is standard input')
    .addHelpText(
      'after',
      `
Needed once per service, before its first upgrade, while its servers run the plan's baseline. Repeated, it changes
nothing. CHANGEOVER_CONTROLLER_URL and CHANGEOVER_CONTROLLER_TOKEN say where the flow controller is.

Examples:
  $ changeover adopt plan.yaml`,
    )
    .action(async (file: string) => {
      const { plan } = await readPlanFile(file);
      const registry = createFlowController(readConfig(env).controller);
      const { version } = await registry.adopt(plan.service, planToServiceDefinition(plan));
      print(out, `${plan.service} is under management; its route table is at version ${version}.`);
    });
}
