import { ChangeoverError, ERROR_CODES, type ErrorCode } from '../domain/errors.ts';
import type { Package } from '../domain/upgrade-params.ts';
import type { PushResult } from '../domain/upgrade/results.ts';
import type { Problem } from '../domain/upgrade/state.ts';
import type { AgentAddress } from '../ports/server-agent.ts';
import type { AgentStatus } from '../protocol/agent.ts';
import { attempt, type Attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** One server, what it is to run, and the name of this change: pushed twice, it happens once. */
export type PushTarget = AgentAddress & {
  readonly key: string;
  readonly package: Package;
  /** The name of the version under trial; by default the package's version. */
  readonly release?: string;
};

export interface PushUpgradeParamsInput extends StepContext {
  readonly servers: readonly PushTarget[];
}

const AGENTS_AT_ONCE = 16;
/** An agent tells at once that its upgrade is over; it is asked to wait for that so long, in milliseconds. */
const WAIT_MS = 1000;
/** Between two rounds of questions: short where agents wait, longer where there are too many for that. */
const PAUSE_MS = 25;
const PAUSE_OF_MANY_MS = 250;
/** Room for the steps of one upgrade in the order that agents keep: fence first, then step. */
const STEPS_PER_FENCE = 1_000_000;

type Found =
  | { readonly state: 'done' | 'running' }
  | { readonly state: 'failed'; readonly problem: Omit<Problem, 'since'> };

/**
 * Pushes the upgrade parameters to each server's agent and waits until all run their version. Agents that are away, or
 * that fail in a way that may pass (a package missing), are tried again by Temporal's retries; a server that could not
 * start waits for the operator. Servers that are done are remembered across attempts.
 */
export function pushUpgradeParams({ agents }: Pick<ActivityDependencies, 'agents'>) {
  return (input: PushUpgradeParamsInput): Promise<PushResult> =>
    attempt(input.step, async (present) => {
      const pushed = new Set<string>();
      for (;;) {
        const open = input.servers.filter(({ server }) => !present.isDone(server));
        // One server that takes long must not keep others in the queue.
        const waitMs = open.length <= AGENTS_AT_ONCE ? WAIT_MS : 0;
        let unheard = open.length;
        const found = await present.each(open, AGENTS_AT_ONCE, async (target) => {
          let one = await pushOne(agents, input, target, { present, pushed, waitMs });
          unheard -= 1;
          // An agent that hangs holds the round up for long: meanwhile the others tell how it goes on.
          while (one.state === 'running' && waitMs > 0 && unheard > 0) {
            await present.sleep(PAUSE_MS);
            one = await pushOne(agents, input, target, { present, pushed, waitMs });
          }
          return one;
        });
        const problems = found.flatMap((one) => (one.state === 'failed' ? [one.problem] : []));
        // A server that is being tried again is not mended yet: its problem stands, with the time since when.
        const standing = open.flatMap(({ server }, index) =>
          found[index]?.state === 'running' ? (present.problemAt(`server ${server}`) ?? []) : [],
        );
        await present.tell([...problems, ...standing]);
        if (!found.some(({ state }) => state === 'running')) {
          if (problems.length === 0) break;
          throw new ChangeoverError(
            'ServersNotUpgraded',
            problems.map(({ where, code, message }) => `${where}: ${code}: ${message}`).join('; '),
          );
        }
        await present.sleep(waitMs > 0 ? PAUSE_MS : PAUSE_OF_MANY_MS);
      }
      return {
        servers: input.servers.map(({ server, package: { version }, release = version }) => ({
          name: server,
          version: release,
        })),
      };
    });
}

/** Once in each attempt the parameters are pushed, whatever was before: a call made twice runs once. Then it is watched. */
async function pushOne(
  agents: ActivityDependencies['agents'],
  input: PushUpgradeParamsInput,
  target: PushTarget,
  { present, pushed, waitMs }: { present: Attempt; pushed: Set<string>; waitMs: number },
): Promise<Found> {
  const { server } = target;
  const key = () => `${target.key}/${present.triesOf(server)}`;
  const push = () =>
    agents.upgrade(
      target,
      {
        key: key(),
        fence: input.fence * STEPS_PER_FENCE + input.step,
        service: input.service,
        params: target.package,
      },
      { waitMs },
    );
  try {
    if (pushed.has(server)) {
      return judge(await agents.status(target, { waitMs }), target, key(), present);
    }
    let status = await push().catch(async (error: unknown) => {
      if (!(error instanceof ChangeoverError) || error.code !== 'Fenced') throw error;
      // The agent knows the number of tries for sure: an attempt that was lost may have made one more.
      const tries = tryOf(await agents.status(target), target.key);
      if (tries <= present.triesOf(server)) throw error;
      present.atLeastTries(server, tries);
      return push();
    });
    if (present.isRepetition && failedInPassing(status, key())) {
      present.countTry(server);
      status = await push();
    }
    pushed.add(server);
    return judge(status, target, key(), present);
  } catch (error) {
    if (!(error instanceof ChangeoverError) || error.code === 'Fenced') throw error;
    return failure(target, error.code, error.message);
  }
}

/** Number at the end of the key that the agent had last, where it is one of this change. */
function tryOf({ upgrade }: AgentStatus, key: string): number {
  return upgrade?.key.startsWith(`${key}/`) === true ? Number(upgrade.key.slice(key.length + 1)) : 0;
}

/** It failed in a way that may have passed when it is tried next. */
function failedInPassing({ upgrade }: AgentStatus, key: string): boolean {
  if (upgrade?.key !== key || upgrade.state !== 'failed') return false;
  return upgrade.error !== undefined && ERROR_CODES[upgrade.error.code].retryable;
}

function judge(
  { upgrade, runningVersion }: AgentStatus,
  target: PushTarget,
  key: string,
  present: Attempt,
): Found {
  if (upgrade === null || upgrade.key !== key || upgrade.state === 'running') return { state: 'running' };
  if (upgrade.state === 'failed') {
    const { code, message } = upgrade.error ?? { code: 'Internal', message: 'the agent gave no reason' };
    const hint = ERROR_CODES[code].retryable
      ? ''
      : ' Retry this server once it is mended, skip it, or abort.';
    return failure(target, code, `${message}${hint}`);
  }
  if (runningVersion !== target.package.version) {
    return failure(
      target,
      'ServersNotUpgraded',
      `runs ${runningVersion ?? 'nothing'}, not ${target.package.version}`,
    );
  }
  present.markDone(target.server);
  return { state: 'done' };
}

function failure({ server }: PushTarget, code: ErrorCode, message: string): Found {
  return { state: 'failed', problem: { where: `server ${server}`, code, message } };
}
