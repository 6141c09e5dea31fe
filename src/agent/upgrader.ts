import type { Logger } from 'pino';
import { ChangeoverError, type ErrorBody } from '../domain/errors.ts';
import { UPGRADE_STEPS, type UpgradeRequest } from '../protocol/agent.ts';
import { createExclusive, type Exclusive } from './exclusive.ts';
import { newRecord, withKey, type Journal, type JournalState } from './journal.ts';
import type { PackageSource } from './package-source.ts';
import type { Releases } from './releases.ts';
import type { ServerState } from './server-state.ts';
import type { Software } from './software.ts';
import type { UpgradeStep, UpgradeSteps } from './upgrade-steps.ts';

export interface UpgraderDeps {
  readonly keepReleases: number;
  readonly journal: Journal;
  readonly releases: Releases;
  readonly software: Software;
  readonly server: ServerState;
  readonly source: PackageSource;
  readonly steps: UpgradeSteps['steps'];
  readonly logger: Logger;
  /** Runs changes of the software one after the other, also against those of the supervisor. */
  readonly exclusive: Exclusive;
  /** Runs what changes the folder of releases one after the other. */
  readonly inReleases: Exclusive;
  readonly checkpoint: (name: string) => Promise<void>;
}

/** Takes upgrade requests and runs them one at a time, from where the journal says that they stand. */
export interface Upgrader {
  readonly busy: boolean;
  /** @throws ChangeoverError `Fenced`, `AgentBusy` */
  accept(request: UpgradeRequest): Promise<void>;
  /** Goes on with what the journal holds. */
  resume(): void;
  /** Stops after the present step; the journal keeps the rest for the next start. */
  close(): Promise<void>;
}

/** Steps that have nothing to do where the release is complete already. */
const OF_THE_PACKAGE: readonly UpgradeStep[] = ['verifying', 'unpacking'];

class Interrupted extends Error {}

export function createUpgrader(deps: UpgraderDeps): Upgrader {
  const { journal, releases, software, server, logger } = deps;
  let active: Promise<void> | undefined;
  /** Something came while `active` was perhaps past looking for it. */
  let again = false;
  let interrupt = new AbortController();
  const closing = new AbortController();
  const inTurn = createExclusive();

  const accept = async (request: UpgradeRequest): Promise<void> => {
    const { state } = journal;
    assertNotFenced(request, journal);
    const present = state.upgrade;
    const running = present?.state === 'running';
    const latest = state.pending ?? present?.request;
    if (latest?.key === request.key) {
      if (request.fence > state.fence) await journal.update(() => ({ fence: request.fence }));
      // It stands still where the journal could not be written.
      if (active === undefined && (running || state.pending !== null)) resume();
      return;
    }
    if (running && latest && request.fence <= latest.fence && !samePackage(latest, request)) {
      throw new ChangeoverError(
        'AgentBusy',
        `An upgrade to ${latest.params.version} is under way (${present.step}). Try again when it is over.`,
        { details: { key: latest.key, version: latest.params.version, step: present.step } },
      );
    }
    const known = { fence: request.fence, keys: withKey(state.keys, request.key) };
    if (!running && state.pending === null) {
      // Begun in the same write: the server is out of traffic, and each one waits for the disk.
      const begun = await beginning(request);
      await journal.update(() => ({ ...known, ...begun }));
      resume();
      return;
    }
    if (running && samePackage(present.request, request) && !present.restoring && !state.pending) {
      // Another attempt at the same thing: the work under way is now this attempt's.
      await journal.update(({ upgrade }) => ({ ...known, upgrade: upgrade && { ...upgrade, request } }));
      return;
    }
    await journal.update(() => ({ ...known, pending: request }));
    if (running) interrupt.abort(new Interrupted('a newer caller asks for another version'));
    resume();
  };

  /** What the journal holds from the moment at which a request is begun. */
  const beginning = async (request: UpgradeRequest): Promise<Pick<JournalState, 'good' | 'upgrade'>> => {
    const [{ upgrade: present, good }, current] = [journal.state, await releases.current()];
    // A superseded upgrade may have left its half-started version as current (after a power cut nobody knows how far it
    // came after `stopping`): the good one stays what it was.
    const midway =
      present?.state === 'running' &&
      UPGRADE_STEPS.indexOf(present.step) >= UPGRADE_STEPS.indexOf('stopping');
    // What makes no sense fails by its step.
    const release = await releases.find(request.params).catch(() => undefined);
    // What is there already need neither be fetched nor noted step by step; unless it runs, which is looked at first.
    const step = release === undefined || release.name === current?.name ? 'fetching' : 'stopping';
    logger.info({ key: request.key, version: request.params.version, step }, 'upgrade begins');
    return {
      good: midway ? good : (current?.name ?? null),
      upgrade: newRecord(request, { step, at: new Date() }),
    };
  };

  const begin = async (request: UpgradeRequest): Promise<void> => {
    const begun = await beginning(request);
    await journal.update(({ pending }) => ({
      // An even newer request may have come meanwhile.
      pending: pending?.key === request.key ? null : pending,
      ...begun,
    }));
  };

  const runsAlready = async (request: UpgradeRequest): Promise<boolean> => {
    const now = await software.running();
    const [release, current] = [await releases.find(request.params), await releases.current()];
    if (!release || now.state === 'stopped' || current?.name !== release.name) return false;
    if (now.release?.name !== release.name) return false;
    const { runningVersion, healthy } = await server.read();
    return healthy && runningVersion === request.params.version;
  };

  const finish = async (error?: ErrorBody): Promise<void> => {
    const finishedAt = new Date().toISOString();
    await journal.updateUpgrade(({ restoring: _, ...upgrade }) =>
      error
        ? { ...upgrade, state: 'failed', finishedAt, error }
        : { ...upgrade, state: 'done', step: 'waitingForHealth', finishedAt },
    );
    const key = journal.state.upgrade?.request.key;
    logger[error ? 'error' : 'info']({ key, error }, error ? 'upgrade failed' : 'upgrade done');
  };

  const tidy = async (request: UpgradeRequest): Promise<void> => {
    const current = await releases.current();
    await deps.source.forget(request.params);
    await deps.inReleases(() =>
      releases.prune(deps.keepReleases, [current?.name ?? null, journal.state.good]),
    );
  };

  const note = (text: string): Promise<void> =>
    journal.updateUpgrade((upgrade) => ({ ...upgrade, notes: [...upgrade.notes, text] }));

  const advance = async (request: UpgradeRequest, from: UpgradeStep): Promise<void> => {
    const { signal } = interrupt;
    for (const step of UPGRADE_STEPS.slice(UPGRADE_STEPS.indexOf(from))) {
      signal.throwIfAborted();
      if (OF_THE_PACKAGE.includes(step) && (await releases.find(request.params))) continue;
      if (journal.state.upgrade?.step !== step) await journal.reach(step);
      await deps.checkpoint(step);
      await deps.steps[step]({ params: request.params, signal, note });
      await deps.checkpoint(`${step}:done`);
    }
  };

  /** Puts the good release back after a failed start; killed on its way, it is repeated. */
  const restore = async (error: ErrorBody): Promise<void> => {
    const good = journal.state.good === null ? undefined : await releases.read(journal.state.good);
    await deps.checkpoint('restoring');
    let problem: string | undefined;
    try {
      const now = await software.running();
      if (now.state !== 'running' || now.release === undefined || now.release.name !== good?.name) {
        const remark = await software.stop();
        if (remark !== undefined) await note(remark);
      }
      await releases.switchTo(good);
      if (good) {
        await software.start(good);
        await server.awaitHealthy(good, { signal: closing.signal });
      }
    } catch (cause) {
      if (closing.signal.aborted) return;
      problem = cause instanceof Error ? cause.message : String(cause);
      logger.error({ err: cause }, 'the release that was good before could not be put back');
    }
    const restored = problem === undefined ? (good?.version ?? null) : null;
    await finish(
      withRestored(error, { restored, ...(problem !== undefined && { restoreProblem: problem }) }),
    );
  };

  const fail = async (error: unknown, step: UpgradeStep): Promise<void> => {
    const body = toBody(error, logger);
    if (UPGRADE_STEPS.indexOf(step) < UPGRADE_STEPS.indexOf('stopping')) {
      await finish(body);
      return;
    }
    await journal.updateUpgrade((upgrade) => ({ ...upgrade, restoring: body }));
    await restore(body);
  };

  const runOne = async (): Promise<void> => {
    const record = journal.state.upgrade;
    if (record?.state !== 'running') return;
    const { request } = record;
    try {
      if (record.restoring) return await restore(record.restoring);
      if (record.step === 'fetching' && (await runsAlready(request))) return await finish();
      const complete = await releases.find(request.params);
      await advance(request, complete ? record.step : 'fetching');
      await finish();
      await tidy(request).catch((error: unknown) => logger.warn({ err: error }, 'cannot tidy up'));
    } catch (error) {
      if (interrupt.signal.aborted) return;
      await fail(error, journal.state.upgrade?.step ?? 'fetching');
    }
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      interrupt = new AbortController();
      const { pending } = journal.state;
      if (pending) await begin(pending);
      if (journal.state.upgrade?.state !== 'running') return;
      await deps.exclusive(runOne);
    }
  };

  const resume = (): void => {
    again = active !== undefined;
    active ??= run()
      .catch((error: unknown) => logger.error({ err: error }, 'an upgrade stands still'))
      .finally(() => {
        active = undefined;
        if (!closing.signal.aborted && again) resume();
      });
  };

  return {
    get busy() {
      return active !== undefined;
    },
    accept: (request) => inTurn(() => accept(request)),
    resume,
    close: async () => {
      const reason = new Interrupted('the agent closes');
      closing.abort(reason);
      interrupt.abort(reason);
      await active;
    },
  };
}

/** @throws ChangeoverError `Fenced` */
function assertNotFenced(request: UpgradeRequest, journal: Journal): void {
  const { state } = journal;
  if (request.fence < state.fence) {
    throw new ChangeoverError(
      'Fenced',
      `A newer caller was here (fence ${state.fence}); the fence ${request.fence} changes nothing any more.`,
      { details: { fence: state.fence } },
    );
  }
  const latest = state.pending?.key ?? state.upgrade?.request.key;
  if (request.key !== latest && state.keys.includes(request.key)) {
    throw new ChangeoverError(
      'Fenced',
      `The attempt ${request.key} is over, and ${latest ?? 'another one'} came after it. Use a new key to upgrade again.`,
    );
  }
}

function samePackage(a: UpgradeRequest, b: UpgradeRequest): boolean {
  return a.params.version === b.params.version && a.params.sha256 === b.params.sha256;
}

function toBody(error: unknown, logger: Logger): ErrorBody {
  if (error instanceof ChangeoverError) return error.toBody();
  logger.error({ err: error }, 'a step of the upgrade failed');
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'Internal', message: `The agent could not do it: ${message}` };
}

function withRestored(error: ErrorBody, more: Record<string, unknown>): ErrorBody {
  const details = typeof error.details === 'object' && error.details !== null ? error.details : {};
  return { ...error, details: { ...details, ...more } };
}
