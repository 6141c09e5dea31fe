import { Command } from 'commander';
import type { UpgradeStatus } from '../../domain/upgrade/status.ts';
import type { CliContext } from '../context.ts';
import { byOption } from '../operator.ts';
import { addUpgradeAddress, upgradeAddress, type UpgradeAddress } from '../upgrade-address.ts';

interface ApproveOptions extends UpgradeAddress {
  readonly by: string;
  readonly comment?: string;
  readonly candidate?: string;
}

export function approveCommand(context: CliContext): Command {
  const command = new Command('approve').description(
    'approve the winner, or name the candidate that is to be promoted',
  );
  return addUpgradeAddress(command)
    .option('--candidate <version>', 'version to promote; needed where the trial was inconclusive')
    .option('--comment <text>', 'why, for the record')
    .addOption(byOption(context.env))
    .addHelpText(
      'after',
      `
Exit codes: 3 there is nothing to approve now, or not this candidate; 4 Temporal or a worker is not reachable.

Examples:
  $ changeover approve wealth --comment "agreed in the change board"
  $ changeover approve wealth --candidate 2.0-a`,
    )
    .action(async (service: string | undefined, { by, comment, candidate, ...options }: ApproveOptions) => {
      const { sendAction } = await import('../send-action.ts');
      const { approveSignal } = await import('../../workflows/messages.ts');
      await sendAction(context, {
        action: 'approve',
        address: upgradeAddress(service, options),
        signal: approveSignal,
        payload: {
          by,
          ...(comment === undefined ? {} : { comment }),
          ...(candidate === undefined ? {} : { candidate }),
        },
        objection: (status) => objectionTo(candidate, status),
      });
    });
}

function objectionTo(candidate: string | undefined, { verdict }: UpgradeStatus): string | undefined {
  const names = (verdict?.arms ?? []).filter(isLeft).map(({ version }) => version);
  if (candidate === undefined) {
    if (verdict === null || verdict.kind === 'winner' || verdict.kind === 'equivalent') return undefined;
    return `The trial has no winner (${verdict.sentence}) Name one with --candidate: ${names.join(', ')}.`;
  }
  if (names.length === 0 || names.includes(candidate)) return undefined;
  return `${candidate} cannot be promoted; these can: ${names.join(', ')}.`;
}

/** One that was beaten may be promoted against the numbers, one that a guardrail pulled may not. */
function isLeft(arm: NonNullable<UpgradeStatus['verdict']>['arms'][number]): boolean {
  if (arm.role !== 'candidate') return false;
  return 'units' in arm ? arm.out?.why !== 'pulled' : arm.pulled === undefined;
}
