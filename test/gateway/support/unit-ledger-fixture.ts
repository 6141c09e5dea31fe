import { pino } from 'pino';
import { expect } from 'vitest';
import { assertBlock, EVERYONE } from '../../../src/domain/decision/block.ts';
import type { VolumeKind } from '../../../src/domain/measure.ts';
import type { AccountPart } from '../../../src/domain/routes/account-part.ts';
import type { RouteTable, TrialCounting } from '../../../src/domain/routes/table.ts';
import { type AccountJournal, AccountRegister, NO_JOURNAL } from '../../../src/gateway/account-register.ts';
import { UnitLedger } from '../../../src/gateway/unit-ledger.ts';
import type { PendingUnit } from '../../../src/gateway/unit-slot.ts';
import { tableOf } from './gateway-fixture.ts';

export const BY_REQUEST: TrialCounting = { unit: 'request', control: true, timeoutMs: 10_000, windowMs: 0 };
export const BY_ACCOUNT: TrialCounting = {
  unit: 'account',
  control: true,
  timeoutMs: 1_000,
  windowMs: 5_000,
};

interface Trial {
  readonly counting?: Partial<TrialCounting>;
  readonly kind?: VolumeKind;
  readonly version?: number;
  readonly salt?: string;
}

export function tableWith(base: TrialCounting, trial: Trial = {}): RouteTable {
  return tableOf([], {
    version: trial.version ?? 1,
    measure: {
      allocated: {},
      volume: { kind: trial.kind ?? 'successes', match: { status: '2xx' } },
      slowMs: 1_000,
    },
    split: {
      key: { from: 'header', name: 'x-account' },
      policy: { kind: 'hash', salt: 's', weights: { '1.0': 1, '2.0-a': 1, '2.0-b': 1 } },
      withoutKey: '1.0',
      baseline: '1.0',
      share: 1,
      salt: trial.salt ?? 'trial-1',
      pulled: [],
      counting: { ...base, ...trial.counting },
    },
  });
}

/** A ledger with a clock that stands still unless it is set. */
export class LedgerFixture {
  nowMs = 1_000;
  readonly logged: string[] = [];
  readonly ledger: UnitLedger;

  constructor(
    table: RouteTable,
    {
      max = 1_000,
      journal = NO_JOURNAL,
      part = { part: 1, of: 1 },
      gateway = '',
    }: { max?: number; journal?: AccountJournal; part?: AccountPart; gateway?: string } = {},
  ) {
    this.ledger = new UnitLedger({
      register: new AccountRegister({ max, journal }),
      part,
      gateway,
      logger: pino({ level: 'warn' }, { write: (line) => this.logged.push(line) }),
      now: () => this.nowMs,
    });
    this.ledger.execute(table);
  }

  request(release: string): PendingUnit {
    const unit = this.ledger.ofRequest(release, EVERYONE);
    if (unit === null) throw new Error(`a request of ${release} is no unit`);
    return unit;
  }

  of(account: string, release: string, allocated = true): PendingUnit | null {
    return this.ledger.ofAccount({ account, release, group: EVERYONE, allocated });
  }

  /** Release → [n, sum, uncapped], over all table versions; what is reported makes a sound block. */
  counted(): Record<string, [number, number, number]> {
    const counts = this.ledger.report()?.counts ?? [];
    const out: Record<string, [number, number, number]> = {};
    for (const { release, group, n, sum, squares, uncapped } of counts) {
      expect(group).toBe(EVERYONE);
      assertBlock({ fromMs: 0, toMs: 0, groups: { [group]: { [release]: { n, sum, squares } } } });
      const [units, outcomes, raw] = out[release] ?? [0, 0, 0];
      out[release] = [units + n, outcomes + sum, raw + uncapped];
    }
    return out;
  }

  get pending(): number | undefined {
    return this.ledger.report()?.pending;
  }

  /** A shift of the clock after which everything is known or timed out. */
  later(): this {
    this.nowMs += 60_000;
    return this;
  }
}
