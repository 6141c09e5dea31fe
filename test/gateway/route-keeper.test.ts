import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { AccountRegister, NO_JOURNAL } from '../../src/gateway/account-register.ts';
import { gatewayConfigSchema } from '../../src/gateway/config.ts';
import type { CompiledRoutes } from '../../src/gateway/compiled-routes.ts';
import { EmbeddedPlane } from '../../src/gateway/embedded-plane.ts';
import { Fleet } from '../../src/gateway/fleet.ts';
import { RouteKeeper } from '../../src/gateway/route-keeper.ts';
import { RouteStore } from '../../src/gateway/route-store.ts';
import { PlainContext } from '../../src/gateway/routing-context.ts';
import { TrafficDirector } from '../../src/gateway/traffic-director.ts';
import { TrafficLedger } from '../../src/gateway/traffic-ledger.ts';
import { TransactionBook } from '../../src/gateway/transaction-book.ts';
import { UnitLedger } from '../../src/gateway/unit-ledger.ts';
import { SERVICE, tableOf } from './support/gateway-fixture.ts';

const logger = pino({ level: 'silent' });

class NotingDirector extends TrafficDirector {
  readonly executed: number[] = [];

  override execute(routes: CompiledRoutes): void {
    this.executed.push(routes.table.version);
    super.execute(routes);
  }
}

/** A disk that keeps a reader waiting with what it held when the reading began. */
class SlowStore extends RouteStore {
  release: () => void = () => undefined;
  readonly #held = new Promise<void>((resolve) => (this.release = resolve));

  override async load(): Promise<RouteTable | null> {
    const table = await super.load();
    await this.#held;
    return table;
  }
}

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keeper-'));
  await new RouteStore(folder).save(tableOf([], { version: 8 }));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function keeperOf(store: RouteStore): { keeper: RouteKeeper; director: NotingDirector } {
  const { timeouts } = gatewayConfigSchema.parse({
    ...{ name: 'gw-1', service: SERVICE, stateDir: folder },
    ...{ listen: { port: 0 }, admin: { port: 0 } },
  });
  const director = new NotingDirector({
    fleet: new Fleet({ timeouts, logger }),
    ledger: new TrafficLedger(),
    transactions: new TransactionBook(100, logger),
    context: new PlainContext(),
    units: new UnitLedger({ register: new AccountRegister({ max: 100, journal: NO_JOURNAL }), logger }),
    logger,
  });
  return {
    keeper: new RouteKeeper({
      service: SERVICE,
      store,
      plane: new EmbeddedPlane({ director, lookupDir: undefined, logger }),
      pulls: false,
      logger,
    }),
    director,
  };
}

describe('stored routes (invariant 4)', () => {
  it('come before those that are pushed while they are being read', async () => {
    const store = new SlowStore(folder);
    const { keeper, director } = keeperOf(store);
    const restored = keeper.restore();
    const pushed = keeper.adopt(tableOf([], { version: 9 }), 'pushed');
    store.release();
    await Promise.all([restored, pushed]);
    expect(director.executed).toEqual([8, 9]);
    expect(keeper.version).toBe(9);
  });

  it('are not taken up behind newer ones that were pushed before', async () => {
    const store = new SlowStore(folder);
    const { keeper, director } = keeperOf(store);
    const pushed = keeper.adopt(tableOf([], { version: 9 }), 'pushed');
    const restored = keeper.restore();
    store.release();
    await Promise.all([pushed, restored]);
    expect(director.executed).toEqual([9]);
    expect((await new RouteStore(folder).load())?.version).toBe(9);
  });
});
