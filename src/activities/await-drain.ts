import type { DrainResult, RoutesResult } from '../domain/upgrade/results.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { AgentAddress } from '../ports/server-agent.ts';
import { attempt, type Attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishUntilAcknowledged } from './publish.ts';

export interface AwaitDrainInput extends StepContext {
  readonly servers: readonly (AgentAddress & {
    readonly deadlineMs: number;
    readonly atDeadline: 'wait' | 'pause' | 'force';
  })[];
}

type DrainDependencies = Pick<ActivityDependencies, 'registry' | 'observatory' | 'agents'>;

/** Bounds of the pause between two counts of what is in flight, in milliseconds. */
const SHORTEST_PAUSE_MS = 40;
const LONGEST_PAUSE_MS = 250;
/** Pause over the time that a count took: in a large fleet gateways are not kept busy with being counted. */
const PAUSE_PER_COUNT = 6;
const AGENTS_AT_ONCE = 16;

/** What the counts of one attempt found out. */
interface Counted {
  /** Servers without business in flight: no gateway that counts sends them anything new. */
  readonly done: Set<string>;
  /** A gateway was declared gone, so that what it had was not counted. */
  withoutSome: boolean;
}

/**
 * Waits until nothing is in flight on these servers, counted at every gateway and at the servers themselves, and then
 * seals them off by a table that every gateway acknowledged. Only after that a server may be touched (invariant 2).
 *
 * A gateway that was declared gone is not counted. It may come back at any moment with transactions that began on these
 * servers: then the gateways are counted once more after the sealing, since it has acknowledged that as well.
 */
export function awaitDrain(dependencies: DrainDependencies) {
  return (input: AwaitDrainInput): Promise<DrainResult> =>
    attempt(input.step, async (present) => {
      const counted: Counted = { done: new Set(), withoutSome: false };
      for (;;) {
        const askedAt = performance.now();
        const left = await countInFlight(dependencies, input, present, counted);
        const tookMs = performance.now() - askedAt;
        const late = input.servers.filter(
          ({ server, deadlineMs }) => left.has(server) && Date.now() - present.startedAtMs >= deadlineMs,
        );
        if (late.some(({ atDeadline }) => atDeadline === 'pause')) {
          return { drained: false, version: 0, left: asList(left) };
        }
        const forced = new Set(
          late.filter(({ atDeadline }) => atDeadline === 'force').map(({ server }) => server),
        );
        if ([...left.keys()].every((server) => forced.has(server))) {
          const sealed = await seal(dependencies, input, present);
          if (counted.withoutSome) await awaitSilence(dependencies, input, present, forced);
          return { drained: true, ...sealed, left: asList(left) };
        }
        await present.sleep(
          Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, tookMs * PAUSE_PER_COUNT)),
        );
      }
    });
}

function asList(left: ReadonlyMap<string, number>): DrainResult['left'] {
  return [...left].map(([server, inFlight]) => ({ server, inFlight }));
}

async function seal(
  { registry }: DrainDependencies,
  { service, fence, step, servers }: AwaitDrainInput,
  present: Attempt,
): Promise<RoutesResult> {
  const names = servers.map(({ server }) => server);
  const { version } = await registry.activate(service, {
    fence,
    step,
    transitions: [{ kind: 'seal', servers: names }],
  });
  const gateways = await publishUntilAcknowledged(registry, present, { service, version });
  return { version, gateways };
}

/** Nothing new enters the servers any more; what entered through a gateway that came back in between ends. */
async function awaitSilence(
  { observatory }: DrainDependencies,
  { service, servers }: AwaitDrainInput,
  present: Attempt,
  forced: ReadonlySet<string>,
): Promise<void> {
  const names = servers.map(({ server }) => server).filter((server) => !forced.has(server));
  if (names.length === 0) return;
  for (;;) {
    const { gateways } = await observatory.load(service, names);
    if (gateways.every((gateway) => gateway.servers.every(({ inFlight }) => inFlight === 0))) return;
    await present.sleep(LONGEST_PAUSE_MS);
  }
}

/**
 * Servers with business in flight, by name. Gateways are asked first; a server's own count is asked once no gateway
 * has any. A server that drained stays drained: no gateway sends it anything new. Nobody's silence counts as zero.
 */
async function countInFlight(
  { observatory, agents }: DrainDependencies,
  { service, servers }: AwaitDrainInput,
  present: Attempt,
  counted: Counted,
): Promise<ReadonlyMap<string, number>> {
  const open = servers.filter(({ server }) => !counted.done.has(server));
  if (open.length === 0) return new Map();
  const problems: { where: string; code: string; message: string }[] = [];
  const left = new Map<string, number>();
  try {
    const { gateways, excluded = [] } = await observatory.load(
      service,
      open.map(({ server }) => server),
    );
    if (excluded.length > 0) counted.withoutSome = true;
    for (const { server } of open) left.set(server, 0);
    for (const gateway of gateways) {
      for (const { name, inFlight, transactions } of gateway.servers) {
        left.set(name, (left.get(name) ?? 0) + inFlight + transactions);
      }
    }
  } catch (error) {
    if (!(error instanceof ChangeoverError) || !error.retryable) throw error;
    problems.push({ where: 'gateways', code: error.code, message: error.message });
    for (const { server } of open) left.set(server, 1);
    await present.tell(problems);
    return left;
  }
  const quiet = open.filter(({ server }) => left.get(server) === 0);
  await present.each(quiet, AGENTS_AT_ONCE, async (address) => {
    try {
      const { inFlight, inFlightProblem } = await agents.status(address);
      if (inFlightProblem !== undefined) {
        problems.push({ where: `server ${address.server}`, code: 'DrainUnknown', message: inFlightProblem });
        left.set(address.server, 1);
      } else if (inFlight === null || inFlight === 0) {
        left.delete(address.server);
        counted.done.add(address.server);
      } else {
        left.set(address.server, inFlight);
      }
    } catch (error) {
      if (!(error instanceof ChangeoverError) || !error.retryable) throw error;
      problems.push({ where: `server ${address.server}`, code: error.code, message: error.message });
      left.set(address.server, 1);
    }
  });
  const now = Date.now() - present.startedAtMs;
  for (const { server, deadlineMs, atDeadline } of open) {
    if (atDeadline === 'wait' && now >= deadlineMs && left.has(server)) {
      const message = `still has ${left.get(server)} in flight past the drain's deadline; the plan says to keep waiting`;
      problems.push({ where: `server ${server}`, code: 'DrainLate', message });
    }
  }
  await present.tell(problems);
  return left;
}
