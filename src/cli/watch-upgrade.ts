import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { Outcome } from '../domain/upgrade/phase.ts';
import { changeLines, type WatchedState } from './change-lines.ts';
import { print, type Output } from './context.ts';
import { EXIT } from './exit-code.ts';
import { exitCodeOf, messageOf } from './failure.ts';
import { takeSnapshot } from './snapshot.ts';
import { statusView } from './status-view.ts';
import type { UpgradeAccess } from './upgrade-access.ts';

/** How often an upgrade is looked at. */
const LOOK_EVERY_MS = 1_000;

/** Shows what is seen; `trouble` is why nothing could be seen this time. */
interface WatchScreen {
  show(state: WatchedState): void;
  trouble(message: string): void;
  close(): void;
}

/**
 * Follows an upgrade to its end. A worker or a server that is away does not end it: the upgrade goes on without us.
 *
 * @throws CliFailure where the run failed, or there is none.
 */
export async function watchUpgrade(
  upgrade: UpgradeAccess,
  { env, out }: { env: NodeJS.ProcessEnv; out: Output },
): Promise<Outcome | null> {
  await upgrade.describe();
  const screen = isScreen(out) ? liveScreen() : plainScreen(out);
  try {
    for (;;) {
      const outcome = await look(upgrade, { env, screen });
      if (outcome !== undefined) return outcome;
      await delay(LOOK_EVERY_MS);
    }
  } finally {
    screen.close();
  }
}

/** One look; the outcome where the upgrade is over. */
async function look(
  upgrade: UpgradeAccess,
  { env, screen }: { env: NodeJS.ProcessEnv; screen: WatchScreen },
): Promise<Outcome | undefined> {
  try {
    const report = await upgrade.report();
    screen.show(await takeSnapshot(upgrade, env));
    return report?.outcome;
  } catch (error) {
    if (exitCodeOf(error) !== EXIT.unreachable && exitCodeOf(error) !== EXIT.notNow) throw error;
    screen.trouble(messageOf(error, false));
    return undefined;
  }
}

/** Some pseudo-terminals (of containers and CI) have no size, and nothing would be seen on them. */
function isScreen(out: Output): boolean {
  return out.isTTY === true && (out.columns ?? 0) > 0;
}

function liveScreen(): WatchScreen {
  const update = createLogUpdate(process.stdout);
  let last = '';
  return {
    show: (state) => {
      last = statusView(state, { nowMs: Date.now(), colour: true });
      update(last);
    },
    trouble: (message) => update([last, `  ! ${message}`].join('\n\n')),
    close: () => update.done(),
  };
}

function plainScreen(out: Output): WatchScreen {
  let before: WatchedState | undefined;
  let told = '';
  return {
    show: (state) => {
      const at = new Date().toISOString();
      for (const line of changeLines(before, state, at)) print(out, line);
      before = state;
      told = '';
    },
    trouble: (message) => {
      if (message !== told) print(out, `${new Date().toISOString()} ${message}`);
      told = message;
    },
    close: () => undefined,
  };
}
