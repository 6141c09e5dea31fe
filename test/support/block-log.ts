import { EVERYONE } from '../../src/domain/decision/block.ts';
import type { BlocksAnswer, NumberedBlock } from '../../src/protocol/controller.ts';

/** Blocks of a trial as the controller keeps them, from counters that only grow; for worlds in memory. */
export class BlockLog {
  readonly #blocks: NumberedBlock[] = [];
  #before = new Map<string, { n: number; sum: number }>();

  /** Closes the open block with what was counted since the last one, and answers those numbered above `after`. */
  close(
    trial: string,
    after: number,
    counted: ReadonlyMap<string, { n: number; sum: number }>,
  ): BlocksAnswer {
    const arms: Record<string, { n: number; sum: number }> = {};
    for (const [version, now] of counted) {
      const { n, sum } = this.#before.get(version) ?? { n: 0, sum: 0 };
      if (now.n > n) arms[version] = { n: now.n - n, sum: now.sum - sum };
    }
    this.#before = new Map(counted);
    const number = this.#blocks.length + 1;
    if (Object.keys(arms).length > 0) {
      const fromMs = (number - 1) * 1000;
      this.#blocks.push({ number, fromMs, toMs: fromMs + 1000, groups: { [EVERYONE]: arms } });
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
