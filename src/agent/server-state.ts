import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { AgentConfig } from './config.ts';
import { createExclusive } from './exclusive.ts';
import { reportedInFlight, type HealthCheck } from './health.ts';
import { countConnections, type InFlightCount } from './in-flight.ts';
import type { Release } from './releases.ts';
import type { Running, Software } from './software.ts';
import { waitUntil } from './wait.ts';

const FIRST_PROBES_MS = 10;
/** Pause between two probes, as a share of the time that the software takes already; the interval at most. */
const PAUSE_PER_WAITED = 0.03;

const NOT_UP = { healthy: false, version: null };

export interface ServerReading extends InFlightCount {
  readonly runningVersion: string | null;
  readonly healthy: boolean;
}

/** What runs on this server now, asked of the system and of the software, never of what was meant to run. */
export interface ServerState {
  read(): Promise<ServerReading>;
  /** @throws ChangeoverError `StartFailed` with the last lines that the software printed. */
  awaitHealthy(release: Release, options: { signal: AbortSignal }): Promise<void>;
}

export function createServerState(
  config: Pick<AgentConfig, 'health' | 'inFlight' | 'version'>,
  deps: { software: Software; health: HealthCheck; logger: Logger },
): ServerState {
  const { software, health } = deps;
  // A probe of ours is a connection too, and must not be counted as business.
  const inTurn = createExclusive();

  const running = async (): Promise<Running> =>
    software.running().catch((error: unknown) => {
      deps.logger.warn({ err: error }, 'cannot tell whether the software runs');
      return { state: 'unknown', release: undefined };
    });

  const versionOf = (
    now: Running,
    { healthy, version }: Awaited<ReturnType<HealthCheck['check']>>,
  ): string | null => {
    if (now.state === 'stopped') return null;
    if (config.version) return version;
    if (now.state === 'unknown' && !healthy) return null;
    return now.release?.version ?? null;
  };

  const countInFlight = async (now: Running): Promise<InFlightCount> => {
    if (!config.inFlight) return { inFlight: null };
    if ('connections' in config.inFlight) return countConnections(config.inFlight.connections.port);
    return now.state === 'stopped' ? { inFlight: 0 } : reportedInFlight(config.inFlight.url);
  };

  let queued: Promise<ServerReading> | undefined;
  /** Who asks before the next reading has begun shares it: hanging software does not make callers queue up. */
  const read = (): Promise<ServerReading> =>
    (queued ??= inTurn(async () => {
      queued = undefined;
      const now = await running();
      const business = await countInFlight(now);
      const found = now.state === 'stopped' ? NOT_UP : await health.check();
      return { runningVersion: versionOf(now, found), healthy: found.healthy, ...business };
    }));

  const isUp = async (release: Release): Promise<boolean> => {
    const found = await inTurn(async () => ((await health.listens()) ? health.check() : NOT_UP));
    // Asked afterwards: whoever answered, it must be this release that runs. Another process may hold the port.
    const now = await software.running();
    if (now.state === 'stopped')
      throw await startFailed(`it ended by itself (${now.exit ?? 'how is not known'})`);
    return (
      found.healthy &&
      versionOf(now, found) === release.version &&
      (now.release === undefined || now.release.name === release.name)
    );
  };

  const startFailed = async (why: string): Promise<ChangeoverError> => {
    const now = await running();
    const lastLines = await software.lastLines();
    const shown =
      lastLines.length === 0 ? 'It printed nothing.' : `It printed at the end:\n${lastLines.join('\n')}`;
    const exit = now.state === 'stopped' ? (now.exit ?? null) : null;
    return new ChangeoverError('StartFailed', `The software did not start: ${why}. ${shown}`, {
      details: { lastLines, exit },
    });
  };

  return {
    read,
    awaitHealthy: async (release, { signal }) => {
      const { timeoutMs, intervalMs, url } = config.health;
      const check = (): Promise<boolean> => {
        signal.throwIfAborted();
        return isUp(release);
      };
      const isHealthy = await waitUntil(check, {
        timeoutMs,
        // Often at first: what starts at once need not wait for a whole interval, nor what takes seconds much longer.
        intervalMs: (waitedMs) =>
          Math.min(intervalMs, Math.max(FIRST_PROBES_MS, waitedMs * PAUSE_PER_WAITED)),
      });
      if (isHealthy) return;
      const reported = config.version ? ` or did not say that it is ${release.version}` : '';
      throw await startFailed(`${url} did not answer 2xx within ${timeoutMs} ms${reported}`);
    },
  };
}
