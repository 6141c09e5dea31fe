import { ChangeoverError } from '../domain/errors.ts';
import type { AgentAddress } from '../ports/server-agent.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';

export interface ReportReadyInput extends StepContext {
  readonly servers: readonly (AgentAddress & {
    readonly release: string;
    /** Version that the server is to run; by default the release. */
    readonly software?: string;
  })[];
}

const AGENTS_AT_ONCE = 16;

/**
 * The servers report to the flow controller that they can take traffic: each runs its version and is healthy. Until
 * that holds the attempt fails, and Temporal's retries keep reporting.
 */
export function reportReady({ agents, observatory }: Pick<ActivityDependencies, 'agents' | 'observatory'>) {
  return (input: ReportReadyInput): Promise<void> =>
    attempt(input.step, async (present) => {
      const { service, fence, step, servers } = input;
      const problems = (
        await present.each(servers, AGENTS_AT_ONCE, async (target) => {
          const where = `server ${target.server}`;
          try {
            const { runningVersion, healthy } = await agents.status(target);
            if (runningVersion === (target.software ?? target.release) && healthy) return [];
            const what = healthy ? 'is healthy' : 'is not healthy';
            return [
              { where, code: 'ServersNotReady', message: `runs ${runningVersion ?? 'nothing'} and ${what}` },
            ];
          } catch (error) {
            if (!(error instanceof ChangeoverError)) throw error;
            return [{ where, code: error.code, message: error.message }];
          }
        })
      ).flat();
      await present.tell(problems);
      if (problems.length > 0) {
        const who = problems.map(({ where, message }) => `${where} ${message}`).join('; ');
        throw new ChangeoverError('ServersNotReady', `Not ready yet: ${who}. Reporting goes on.`);
      }
      for (const release of new Set(servers.map((target) => target.release))) {
        const ready = servers.filter((target) => target.release === release).map(({ server }) => server);
        await observatory.reportReady(service, { fence, step, release, servers: ready });
      }
    });
}
