import { Command } from 'commander';
import { planToServiceDefinition } from '../../domain/plan/service-definition.ts';
import type { AdoptAnswer } from '../../protocol/controller.ts';
import { print, type CliContext } from '../context.ts';
import { askController } from '../controller-access.ts';
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
      const answer = await askController(env, (controller) =>
        controller.adopt(plan.service, planToServiceDefinition(plan)),
      );
      print(out, describeAdoption(plan.service, answer));
    });
}

/** What stays as it is, and when that changes. */
const STAYS = {
  release: 'baseline.version: an upgrade from another version than the routed one is refused',
  gateways: 'gateways: an upgrade adds new ones, `changeover remove-gateway` removes one',
  measure: 'measure: an upgrade brings it along',
  transactions: 'traffic.transactions: an upgrade brings them along',
} as const;

function describeAdoption(service: string, { version, created = true, differing = [] }: AdoptAnswer): string {
  const table = `its route table is at version ${version}.`;
  if (created) return `${service} is under management; ${table}`;
  const stays =
    differing.length === 0
      ? []
      : [
          'The plan says otherwise here; this was not changed either:',
          ...differing.map((field) => `  - ${STAYS[field]}`),
        ];
  return [`${service} is already under management, nothing changed; ${table}`, ...stays].join('\n');
}
