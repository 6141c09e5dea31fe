import type { Action } from '../domain/upgrade/actions.ts';
import type { UpgradeStatus } from '../domain/upgrade/status.ts';

/** The command for each action, as an operator would type it. */
const COMMAND: Readonly<Record<Action, (status: UpgradeStatus) => string>> = {
  approve: ({ service, verdict }) =>
    `changeover approve ${service}${verdict?.kind === 'winner' ? '' : ' --candidate VERSION'}`,
  extend: ({ service }) => `changeover extend ${service} --length 10m`,
  abort: ({ service }) => `changeover abort ${service} --reason "…"`,
  pause: ({ service }) => `changeover pause ${service}`,
  resume: ({ service }) => `changeover resume ${service}`,
  retryServer: ({ service }) => `changeover retry-server ${service} --server NAME`,
  skipServer: ({ service }) => `changeover skip-server ${service} --server NAME`,
  excludeGateway: ({ service, gateways }) =>
    `changeover exclude-gateway ${service} --gateway ${gateways?.laggards[0] ?? 'NAME'} --reason "…"   (only where its traffic is off)`,
};

/** What the operator can do now, worth a line each. */
export function actionHints(status: UpgradeStatus): string[] {
  const worth = status.can.filter((action) => isWorthSaying(action, status));
  return worth.length === 0 ? [] : ['  you can:', ...worth.map((action) => `    ${COMMAND[action](status)}`)];
}

/** Retrying and skipping servers is possible nearly always, and helps where something is wrong. */
function isWorthSaying(action: Action, { problems, servers }: UpgradeStatus): boolean {
  if (action === 'excludeGateway') return problems.some(({ where }) => where.startsWith('gateway'));
  if (action !== 'retryServer' && action !== 'skipServer') return true;
  return problems.length > 0 || servers.some((server) => server.stage === 'out');
}
