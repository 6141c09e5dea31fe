import { EVERYONE } from '../../src/domain/decision/block.ts';
import type { BlocksAnswer, NumberedBlock } from '../../src/protocol/controller.ts';

/** Blocks of a trial as the controller keeps them, from counters that only grow; for worlds in memory. */
export class BlockLog {
  readonly #blocks: NumberedBlock[] = [];
  /** By the clock of the blocks. */
  lengthMs = 1000;
  /** In which groups the counts of a block are; by default in one of everybody. */
  groupsOf: (arms: NumberedBlock['groups'][string]) => NumberedBlock['groups'] = (arms) => ({
    [EVERYONE]: arms,
  });
  #before: ReadonlyMap<string, { allocated: number; volume: number }> = new Map();

  /** Closes the open block with what was counted since the last one, and answers those numbered above `after`. */
  close(
    {
      trial,
      after,
      shares,
    }: { trial: string; after: number; shares: Readonly<Record<string, number>> | undefined },
    counted: ReadonlyMap<string, { allocated: number; volume: number }>,
  ): BlocksAnswer {
    const arms: Record<string, { n: number; sum: number }> = {};
    for (const [version, now] of counted) {
      const { allocated, volume } = this.#before.get(version) ?? { allocated: 0, volume: 0 };
      if (now.allocated > allocated)
        arms[version] = { n: now.allocated - allocated, sum: now.volume - volume };
    }
    this.#before = new Map(counted);
    const number = this.#blocks.length + 1;
    if (Object.keys(arms).length > 0) {
      const fromMs = (number - 1) * this.lengthMs;
      this.#blocks.push({
        number,
        fromMs,
        toMs: fromMs + this.lengthMs,
        groups: this.groupsOf(arms),
        ...(shares && { shares }),
      });
    }
    return {
      trial,
      blocks: this.#blocks.filter((block) => block.number > after),
      unread: [],
      pending: 0,
      beyond: 0,
    };
  }
}
