import { join } from 'node:path';
import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { BlocksAnswer, NumberedBlock } from '../protocol/controller.ts';
import type { UnitCount } from '../protocol/gateway.ts';
import { hasOldEpochs, openDifferences, rowKey } from './block-differences.ts';
import { createBlockFile, openBlockFile, type BlockFile, type BlockRecord } from './block-file.ts';
import type { Observatory } from './observatory.ts';
import type { ServiceStore } from './service-store.ts';

export interface BlockLog {
  /**
   * Reads the gateways, closes what is open, and answers the blocks numbered above `after`. They are on disk before. A
   * trial that is neither in force nor kept has none.
   *
   * @throws ChangeoverError `InvalidRequest` where blocks that were answered once are not here any more.
   */
  blocks(service: string, request: { trial: string; after: number }): Promise<BlocksAnswer>;
  /** Closes what is left of a gateway's earlier epoch, before readings of it are given up. */
  keepUp(service: string): Promise<void>;
  /** Resolves when nothing is being written. */
  settled(): Promise<void>;
}

/** The blocks of the trial of one service. */
interface TrialLog {
  readonly file: BlockFile;
  readonly blocks: NumberedBlock[];
  readonly closed: Map<string, UnitCount>;
}

/** Starts from what is in `stateDir`. @throws ChangeoverError `Internal` naming the file that is damaged. */
export async function openBlockLog(deps: {
  store: ServiceStore;
  observatory: Observatory;
  stateDir: string;
  logger: Logger;
}): Promise<BlockLog> {
  const { store, observatory, logger } = deps;
  const fileOf = (service: string): string => join(deps.stateDir, `${service}.blocks.jsonl`);
  const logs = new Map<string, TrialLog>();
  /** What is under way for each service: blocks are closed one after the other. */
  const turns = new Map<string, Promise<unknown>>();
  for (const service of store.names()) {
    const known = await openBlockFile(fileOf(service));
    if (known === undefined) continue;
    const log: TrialLog = { file: known.file, blocks: [], closed: new Map() };
    for (const record of known.records) remember(log, record);
    logs.set(service, log);
  }

  function inTurn<T>(service: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(service) ?? Promise.resolve()).then(work);
    turns.set(
      service,
      turn.catch(() => undefined),
    );
    return turn;
  }

  /** The log of a trial: the one that is kept, or a new one where the trial is in force. */
  async function logOf(service: string, trial: string): Promise<TrialLog | undefined> {
    const known = logs.get(service);
    if (known?.file.head.trial === trial) return known;
    const { active, activeSince, trialStart } = store.get(service);
    if (active.split?.salt !== trial) return undefined;
    // Of a trial that an earlier version began, only the present table's moment is known.
    const startedAt = trialStart?.trial === trial ? trialStart.at : activeSince;
    const startedAtMs = startedAt === undefined ? Date.now() : Date.parse(startedAt);
    const head = { format: 1, trial, startedAtMs } as const;
    const log = { file: await createBlockFile(fileOf(service), head), blocks: [], closed: new Map() };
    logs.set(service, log);
    return log;
  }

  /** Closes the open blocks, and names gateways whose counters are not believed. */
  async function close(service: string, log: TrialLog): Promise<readonly string[]> {
    const { trial, startedAtMs } = log.file.head;
    const { blocks, rows, faulty } = openDifferences(observatory.readings(service), trial, log.closed);
    if (faulty.length > 0) {
      logger.warn(
        { service, gateways: faulty },
        'units were counted that cannot be; they are left out so far',
      );
    }
    if (blocks.length === 0) return faulty;
    const last = log.blocks.at(-1);
    const fromMs = last?.toMs ?? 0;
    // The clock may have been set back: blocks follow each other all the same.
    const toMs = Math.max(fromMs, Date.now() - startedAtMs);
    const { trialShares } = store.get(service);
    const asked = trialShares?.trial === trial ? trialShares : undefined;
    const record = {
      blocks: blocks.map((block, i): NumberedBlock => {
        const shares = asked?.byTable[String(block.tableVersion)];
        const sharesByGroup = asked?.groupsByTable?.[String(block.tableVersion)];
        const span = { number: (last?.number ?? 0) + 1 + i, fromMs, toMs };
        return {
          ...span,
          ...block,
          ...(shares === undefined ? {} : { shares }),
          ...(sharesByGroup === undefined ? {} : { sharesByGroup }),
        };
      }),
      rows,
    };
    await log.file.append(record);
    remember(log, record);
    return faulty;
  }

  return {
    async blocks(service, { trial, after }) {
      const readings = await observatory.read(service);
      return inTurn(service, async () => {
        const log = await logOf(service, trial);
        const faulty = log === undefined ? [] : await close(service, log);
        const blocks = log?.blocks ?? [];
        if (log !== undefined && after > blocks.length) throw lost(service, after, blocks.length);
        const silent = readings.filter((reading) => 'problem' in reading).map(({ gateway }) => gateway);
        const units = readings.flatMap((reading) => ('stats' in reading ? [reading.stats.units] : []));
        const pending = units.map((one) => (one?.trial === trial ? one.pending : 0));
        return {
          trial,
          blocks: blocks.slice(after),
          unread: [...new Set([...silent, ...faulty])],
          pending: pending.reduce((sum, n) => sum + n, 0),
          beyond: beyondOf(observatory, service, trial),
        };
      });
    },

    async keepUp(service) {
      const log = logs.get(service);
      if (log === undefined) return;
      const left = (): boolean =>
        hasOldEpochs(observatory.readings(service), log.file.head.trial, log.closed);
      if (!left()) return;
      await inTurn(service, async () => {
        if (logs.get(service) === log && left()) await close(service, log);
      });
    },

    async settled() {
      await Promise.all(turns.values());
    },
  };
}

function remember(log: TrialLog, { blocks, rows }: BlockRecord): void {
  log.blocks.push(...blocks);
  for (const row of rows) log.closed.set(rowKey(row), row);
}

function beyondOf(observatory: Observatory, service: string, trial: string): number {
  const epochs = Object.values(observatory.readings(service)).flatMap(({ epochs: all }) => all);
  return epochs.reduce((sum, { units }) => sum + (units?.trial === trial ? units.beyond : 0), 0);
}

function lost(service: string, after: number, known: number): ChangeoverError {
  return new ChangeoverError(
    'InvalidRequest',
    `after: ${after} blocks of the trial of ${service} were answered before, and ${known} are kept: the controller's state is an older one. Put the newer one back, or start the trial anew.`,
  );
}
