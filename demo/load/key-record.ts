import type { KeyMove } from './summary.ts';

const KEPT_MOVES = 10_000;

/** Which version serves which account, and when that changed (invariant 7). */
export interface KeyRecord {
  /** `sentAt` and `answeredAt` in epoch milliseconds. */
  seen(account: string, version: string, when: { sentAt: number; answeredAt: number }): void;
  keys(): Record<string, string>;
  moves(): KeyMove[];
}

export function createKeyRecord(): KeyRecord {
  const latest = new Map<string, { version: string; sentAt: number }>();
  let moves: KeyMove[] = [];

  return {
    keys: () => Object.fromEntries([...latest].map(([account, { version }]) => [account, version])),
    moves: () => moves.slice(-KEPT_MOVES),
    seen: (account, version, { sentAt, answeredAt }) => {
      const before = latest.get(account);
      // Answers overtake one another: a slow one says where the account belonged when it was sent, not now.
      if (before !== undefined && before.sentAt > sentAt) return;
      latest.set(account, { version, sentAt });
      if (before === undefined || before.version === version) return;
      moves.push({ at: sentAt, until: answeredAt, account, from: before.version, to: version });
      if (moves.length >= 2 * KEPT_MOVES) moves = moves.slice(-KEPT_MOVES);
    },
  };
}
