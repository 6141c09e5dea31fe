import { Command } from 'commander';
import type { ServiceStatus } from '../../protocol/controller.ts';
import { print, type CliContext } from '../context.ts';
import { askController } from '../controller-access.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure, exitCodeOf, messageOf } from '../failure.ts';
import { byOption } from '../operator.ts';

interface UnlockOptions {
  readonly by: string;
  readonly force?: boolean;
}

type Lock = NonNullable<ServiceStatus['lock']>;

export function unlockCommand({ env, out }: CliContext): Command {
  return new Command('unlock')
    .description('free the lock of an upgrade that is over but could not release it')
    .argument('<service>', 'service that is locked')
    .addOption(byOption(env))
    .option('--force', 'also where Temporal cannot say whether the upgrade still runs')
    .addHelpText(
      'after',
      `
Only for an upgrade that was terminated: one that runs is ended by \`changeover abort\`. Routes stay as they are.
Exit codes: 3 the upgrade still runs, or Temporal does not know it; 4 Temporal or the flow controller is not reachable.

Examples:
  $ changeover unlock wealth --by anna`,
    )
    .action(async (service: string, { by, force = false }: UnlockOptions) => {
      const { lock, active } = await askController(env, (controller) => controller.status(service));
      if (lock === null) {
        print(out, `${service} is not locked.`);
        return;
      }
      await assertAbandoned(env, service, lock, force);
      const { fence } = lock;
      // After whatever step the holder came to.
      const step = Number.MAX_SAFE_INTEGER;
      await askController(env, (controller) => controller.release(service, { fence, step, by }));
      print(
        out,
        `Released by ${by}: ${service} was locked by ${lock.upgradeId} (fence ${fence}, since ${lock.since}). Routes stay as they are, at version ${active.version}.`,
      );
    });
}

/** @throws CliFailure where the holder runs, or (without `force`) nobody can say. */
async function assertAbandoned(
  env: NodeJS.ProcessEnv,
  service: string,
  lock: Lock,
  force: boolean,
): Promise<void> {
  const { holderState } = await import('../lock-holder.ts');
  const held = described(service, lock);
  const forced = 'Where you are sure that it is over, add --force.';
  const state = await holderState(env, lock.upgradeId).catch((cause: unknown) => {
    if (force && exitCodeOf(cause) === EXIT.unreachable) return 'unknown';
    throw new CliFailure(exitCodeOf(cause), `Not released: ${held}. ${messageOf(cause, false)}\n${forced}`, {
      cause,
    });
  });
  if (state === 'running') {
    throw new CliFailure(
      EXIT.notNow,
      `Not released: ${held}, and it still runs. End it with \`changeover abort ${service} --reason "…"\`.`,
    );
  }
  if (state === 'unknown' && !force) {
    throw new CliFailure(
      EXIT.notNow,
      `Not released: ${held}, which Temporal does not know; is TEMPORAL_NAMESPACE the right one? ${forced}`,
    );
  }
}

function described(service: string, { upgradeId, fence, since }: Lock): string {
  return `${service} is locked by ${upgradeId} (fence ${fence}, since ${since})`;
}
