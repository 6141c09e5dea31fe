import { mayEnterTwice } from '../domain/decision/counting-of.ts';
import { ACCOUNTS_AT_SEVERAL, SOURCE_OF_ACCOUNTS } from '../domain/decision/rule-words.ts';
import { ChangeoverError } from '../domain/errors.ts';
import { packageFor } from '../domain/plan/package-for.ts';
import type { Plan, PlanServer } from '../domain/plan/schema.ts';
import { sourceOf } from '../domain/plan/source-of.ts';
import { minServing } from '../domain/upgrade/fleet.ts';
import { splitTransitions } from '../domain/upgrade/route-changes.ts';
import { initialState } from '../domain/upgrade/state.ts';
import type { PreflightResult } from '../domain/upgrade/results.ts';
import type { ServiceStatus, TrafficAnswer } from '../protocol/controller.ts';
import { attempt, type Attempt } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishUntilAcknowledged } from './publish.ts';

export interface PreflightInput {
  readonly upgradeId: string;
  readonly step: number;
  readonly plan: Plan;
}

type PreflightDependencies = Pick<ActivityDependencies, 'registry' | 'lock' | 'observatory' | 'agents'>;

const AGENTS_AT_ONCE = 16;
/** Load is measured over this time, in milliseconds. */
const LOAD_WINDOW_MS = 1000;

/**
 * Everything that can be known before anything is changed: the lock on the service, that the routes are those of the
 * plan, that gateways and agents answer, that gateways could execute the routes of the trial, that every server runs the baseline and can get the packages it may need, and
 * that the clusters which keep serving can carry the load. What an operator can mend (an agent that is away, a missing
 * package) is retried; a fleet that is not what the plan says ends the run, with the lock released.
 */
export function preflight(dependencies: PreflightDependencies) {
  return (input: PreflightInput): Promise<PreflightResult> =>
    attempt(input.step, async (present) => {
      const { plan, upgradeId, step } = input;
      const { service, gateways } = plan;
      const { fence } = await dependencies.lock.acquire(service, { upgradeId, gateways });
      try {
        const status = await dependencies.registry.status(service);
        assertRoutesMatch(plan, status);
        const tableVersion = status.active.version;
        const gateways = await publishUntilAcknowledged(dependencies.registry, present, {
          service,
          version: tableVersion,
        });
        await checkServers(dependencies, plan, present);
        await checkGateways(dependencies, plan, present);
        const notes = await checkCapacity(dependencies, plan, present);
        return { fence, tableVersion, notes: [...notes, ...accountNotes(plan)], gateways };
      } catch (error) {
        if (error instanceof ChangeoverError && !error.retryable) {
          await dependencies.lock.release(service, { fence, step });
        }
        throw error;
      }
    });
}

/** What a plan that counts accounts should be sure of. */
function accountNotes(plan: Plan): readonly string[] {
  const { unit, rule } = plan.decision;
  const isElsewhere = sourceOf(plan.measure).from !== 'gateways' && rule !== 'max-efficacy';
  return [
    ...(mayEnterTwice(plan) ? [ACCOUNTS_AT_SEVERAL] : []),
    ...(isElsewhere && unit === 'account' ? [SOURCE_OF_ACCOUNTS] : []),
  ];
}

function fail(problems: readonly string[]): never {
  throw new ChangeoverError('PreflightFailed', `Nothing was changed. ${problems.join('; ')}.`, {
    details: { problems },
  });
}

/** The routes in effect have exactly the plan's servers, all of them open on the baseline. */
function assertRoutesMatch(plan: Plan, { active }: ServiceStatus): void {
  const problems: string[] = [];
  if (active.mainRelease !== plan.baseline.version || active.split !== null) {
    problems.push(
      `traffic goes to ${active.mainRelease}${active.split === null ? '' : ' and, by a policy, to others'}`,
    );
  }
  const routed = new Map(active.servers.map((server) => [server.name, server]));
  for (const [cluster, { servers }] of Object.entries(plan.clusters)) {
    for (const { name, url } of servers) {
      const server = routed.get(name);
      routed.delete(name);
      if (server === undefined)
        problems.push(`${name} is not in the routes of ${plan.service}: leave it out of the plan`);
      else if (server.url !== url)
        problems.push(`${name} is ${url} in the plan, but ${server.url} in the routes`);
      else if (server.cluster !== cluster)
        problems.push(`${name} is in cluster ${server.cluster} in the routes`);
      else if (server.ingress !== 'open') problems.push(`${name} is ${server.ingress} in the routes`);
      else if (server.release !== plan.baseline.version) {
        problems.push(`${name} is routed as ${server.release}, not as the baseline ${plan.baseline.version}`);
      }
    }
  }
  for (const name of routed.keys())
    problems.push(`${name} is in the routes of ${plan.service}, but not in the plan`);
  if (problems.length > 0) fail(problems);
}

/** Every agent answers, runs the baseline, and has fetched and verified each package that its server may need. */
async function checkServers({ agents }: PreflightDependencies, plan: Plan, present: Attempt): Promise<void> {
  const servers = Object.values(plan.clusters).flatMap((cluster) => cluster.servers);
  const wrong: string[] = [];
  const mendable: { where: string; code: string; message: string }[] = [];
  await present.each(
    servers.filter(({ name }) => !present.isDone(name)),
    AGENTS_AT_ONCE,
    async (server) => {
      try {
        const problem = await checkServer(agents, plan, server);
        if (problem === undefined) present.markDone(server.name);
        else wrong.push(problem);
      } catch (error) {
        if (!(error instanceof ChangeoverError)) throw error;
        if (error.retryable)
          mendable.push({ where: `server ${server.name}`, code: error.code, message: error.message });
        else wrong.push(`${server.name}: ${error.message}`);
      }
    },
  );
  if (wrong.length > 0) fail(wrong);
  await present.tell(mendable);
  if (mendable.length > 0) {
    throw new ChangeoverError(
      'ServersNotReady',
      mendable.map(({ where, message }) => `${where}: ${message}`).join('; '),
    );
  }
}

async function checkServer(
  agents: PreflightDependencies['agents'],
  plan: Plan,
  server: PlanServer,
): Promise<string | undefined> {
  const address = { server: server.name, agent: server.agent };
  const status = await agents.status(address);
  if (status.server !== server.name) return `the agent of ${server.name} says that it is ${status.server}'s`;
  if (status.service !== plan.service)
    return `the agent of ${server.name} serves ${status.service}, not ${plan.service}`;
  if (status.os !== server.os) return `${server.name} runs ${status.os}, the plan says ${server.os}`;
  if (status.runningVersion !== plan.baseline.version) {
    return `${server.name} runs ${status.runningVersion ?? 'nothing'}, not the baseline ${plan.baseline.version}`;
  }
  for (const version of [plan.baseline, ...plan.candidates]) {
    await agents.prepare(address, {
      service: plan.service,
      params: packageFor(plan, version.version, server.os),
    });
  }
  return undefined;
}

/** Every gateway could execute the routes of the trial: it has the policy's lookup file. */
async function checkGateways(
  { observatory }: PreflightDependencies,
  plan: Plan,
  present: Attempt,
): Promise<void> {
  const hypothetical = initialState(plan, { upgradeId: 'preflight', at: new Date().toISOString() });
  const { gateways } = await observatory.checkRoutes(plan.service, splitTransitions(plan, hypothetical));
  const problems = gateways.flatMap(({ gateway, problem }) =>
    problem === null
      ? []
      : [
          {
            where: `gateway ${gateway}`,
            code: 'RoutesNotExecutable',
            message: `could not execute the routes of the trial: ${problem}`,
          },
        ],
  );
  await present.tell(problems);
  if (problems.length === 0) return;
  throw new ChangeoverError(
    'RoutesNotExecutable',
    problems.map(({ where, message }) => `${where} ${message}`).join('; '),
  );
}

/** The clusters that keep serving can carry all business: by count, and by the capacity that the plan states. */
async function checkCapacity(
  { observatory }: PreflightDependencies,
  plan: Plan,
  present: Attempt,
): Promise<readonly string[]> {
  const needed = minServing(plan);
  const stated = Object.values(plan.clusters).every(({ capacity }) => capacity !== undefined);
  const small = Object.entries(plan.clusters).filter(([, { servers }]) => servers.length < needed);
  if (small.length > 0) {
    const who = small.map(([name, { servers }]) => `${name} has ${servers.length}`).join(', ');
    throw new ChangeoverError(
      'NotEnoughCapacity',
      `${needed} servers are needed to carry all business; ${who}. Nothing was changed.`,
    );
  }
  if (!stated) return ['Capacity is not stated for every cluster; only the number of servers was checked.'];
  const before = await observatory.traffic(plan.service);
  await present.sleep(LOAD_WINDOW_MS);
  const after = await observatory.traffic(plan.service);
  const seconds = (Date.parse(after.at) - Date.parse(before.at)) / 1000;
  const load = (requestsOf(after) - requestsOf(before)) / seconds;
  for (const [name, { capacity = 0, servers }] of Object.entries(plan.clusters)) {
    const total = capacity * servers.length;
    if (total < load) {
      const message = `Cluster ${name} can carry ${total} requests/s, there are ${Math.round(load)} now; nothing was changed.`;
      throw new ChangeoverError('NotEnoughCapacity', message);
    }
  }
  return [`Load at the preflight: ${Math.round(load)} requests/s; every cluster alone can carry it.`];
}

function requestsOf(traffic: TrafficAnswer): number {
  return traffic.counts.reduce((sum, row) => sum + row.requests, 0);
}
