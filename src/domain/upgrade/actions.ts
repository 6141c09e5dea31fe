import { PHASES, type Phase } from './phase.ts';
import type { UpgradeStatus } from './status.ts';

export const ACTIONS = [
  'approve',
  'extend',
  'abort',
  'pause',
  'resume',
  'retryServer',
  'skipServer',
  'excludeGateway',
] as const;
export type Action = (typeof ACTIONS)[number];

/** All but the end, which nothing holds up any more. */
const CHANGING = PHASES.filter((phase) => phase !== 'finishing' && phase !== 'done');

/** Who may do what in which phase: read by the signal handlers, the command line and the console. */
export const upgradeCan = {
  approve: ['awaitingApproval', 'awaitingDecision'],
  extend: ['trial', 'awaitingApproval', 'awaitingDecision'],
  abort: CHANGING.filter((phase) => phase !== 'rollingBack'),
  pause: CHANGING,
  resume: CHANGING,
  retryServer: CHANGING,
  skipServer: CHANGING,
  // Not before every gateway knows of the upgrade: only then it can be kept from serving when it comes back.
  excludeGateway: CHANGING.filter((phase) => phase !== 'preflight'),
} as const satisfies Record<Action, readonly Phase[]>;

/** Why an action cannot be taken now, as a sentence for the operator; undefined where it can. */
export function whyNot(
  action: Action,
  status: Pick<UpgradeStatus, 'phase' | 'goal' | 'paused'>,
): string | undefined {
  const phases: readonly Phase[] = upgradeCan[action];
  if (!phases.includes(status.phase)) {
    return `${action} is not possible in phase ${status.phase}; it is in ${phases.join(', ')}.`;
  }
  if (action === 'abort' && status.goal === 'rollback') return 'The upgrade is rolling back already.';
  if (action === 'pause' && status.paused !== null)
    return `The upgrade is paused already, by ${status.paused.by}.`;
  if (action === 'resume' && status.paused === null && status.phase !== 'awaitingOperator') {
    return 'The upgrade is not paused.';
  }
  return undefined;
}
