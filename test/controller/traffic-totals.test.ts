import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  serviceTrafficSchema,
  totalsOf,
  withReading,
  type ServiceTraffic,
} from '../../src/controller/traffic-totals.ts';
import { countOf } from './running-controller.ts';

const GATEWAYS = ['gw-1', 'gw-2', 'gw-3'];
const SERVERS = ['b1', 'b2'];
const FIELDS = ['requests', 'succeeded', 'failed', 'volumeCount', 'volumeAmount'] as const;

type Row = ReturnType<typeof countOf>;
type Reading = { readonly gateway: string; readonly epoch: string; readonly counts: readonly Row[] };

/** What happens at a gateway: business on a server, a restart (counters at zero), or a reading of the controller. */
const event = fc.record({
  gateway: fc.constantFrom(...GATEWAYS),
  what: fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ server: fc.constantFrom(...SERVERS), requests: fc.nat({ max: 20 }) }),
    },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
    { weight: 3, arbitrary: fc.constant('reading' as const) },
  ),
});

/** Gateways that count; what each had counted when it was read last is what the controller can know. */
class Gateways {
  readonly readings: Reading[] = [];
  private readonly epochs = new Map(GATEWAYS.map((name) => [name, 0]));
  private readonly counters = new Map<string, Map<string, number>>();
  /** Of epochs that are over: as read last. */
  private readonly known = new Map<string, number>();

  count(gateway: string, server: string, requests: number): void {
    const own = this.counters.get(gateway) ?? new Map<string, number>();
    this.counters.set(gateway, own.set(server, (own.get(server) ?? 0) + requests));
  }

  restart(gateway: string): void {
    this.epochs.set(gateway, (this.epochs.get(gateway) ?? 0) + 1);
    this.counters.delete(gateway);
  }

  read(gateway: string): void {
    const epoch = `${gateway}-${this.epochs.get(gateway) ?? 0}`;
    const own = this.counters.get(gateway) ?? new Map<string, number>();
    const counts = [...own].map(([server, requests]) => rowOf(server, requests));
    this.readings.push({ gateway, epoch, counts });
    for (const [server, requests] of own) this.known.set(`${epoch}/${server}`, requests);
  }

  /** All that was ever read, each epoch once. */
  total(server: string): number {
    return [...this.known]
      .filter(([key]) => key.endsWith(`/${server}`))
      .reduce((sum, [, requests]) => sum + requests, 0);
  }
}

function rowOf(server: string, requests: number): Row {
  const of = { requests, succeeded: requests, failed: 0, volumeCount: requests, volumeAmount: requests / 4 };
  return countOf({ server, ...of, latency: countOf({}).latency.map((_, i) => (i === 0 ? requests : 0)) });
}

function totalOf(traffic: ServiceTraffic, server: string): Row {
  return totalsOf(traffic).find((row) => row.server === server) ?? rowOf(server, 0);
}

function taken(traffic: ServiceTraffic, { gateway, ...reading }: Reading): ServiceTraffic {
  return { ...traffic, [gateway]: withReading(traffic[gateway], reading) };
}

/** How a controller may come to see readings: doubled, and late by some. */
const disorder = fc.record({
  /** One for each reading, round and round. */
  ways: fc.array(fc.record({ doubled: fc.boolean(), lateBy: fc.nat({ max: 3 }) }), { minLength: 1 }),
  /** The controller is restarted after so many readings: all goes through its file. */
  restartAfter: fc.nat({ max: 10 }),
});

describe('counts of several gateways', () => {
  it('add up to what they counted: restarts, late and doubled readings neither lose nor double anything', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), disorder, (events, { ways, restartAfter }) => {
        const gateways = new Gateways();
        const starts = new Map<string, number>();
        for (const { gateway, what } of events) {
          if (what === 'reading') gateways.read(gateway);
          // A reading is under way for two seconds at most, in which no gateway starts four times.
          else if (what !== 'restart') gateways.count(gateway, what.server, what.requests);
          else if ((starts.get(gateway) ?? 0) < 3) {
            gateways.restart(gateway);
            starts.set(gateway, (starts.get(gateway) ?? 0) + 1);
          }
        }
        const arrivals = gateways.readings
          .flatMap((reading, n) => {
            const { doubled, lateBy } = ways[n % ways.length] ?? { doubled: false, lateBy: 0 };
            const one = { reading, at: n + lateBy };
            return doubled ? [one, { reading, at: n + 2 }] : [one];
          })
          .sort((a, b) => a.at - b.at);
        let traffic: ServiceTraffic = {};
        for (const [n, { reading }] of arrivals.entries()) {
          traffic = taken(traffic, reading);
          if (n === restartAfter) traffic = serviceTrafficSchema.parse(JSON.parse(JSON.stringify(traffic)));
        }
        for (const server of SERVERS) {
          const expected = rowOf(server, gateways.total(server));
          const actual = totalOf(traffic, server);
          for (const field of FIELDS) expect(actual[field]).toBe(expected[field]);
          expect(actual.latency[0]).toBe(expected.latency[0]);
        }
      }),
    );
  });

  it('stay in the totals of a gateway that is no longer read, whatever the others do', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.nat({ max: 60 }), (events, goneAfter) => {
        const gateways = new Gateways();
        for (const [n, { gateway, what }] of events.entries()) {
          // Excluded: nobody reads it any more, and it counts nothing.
          if (gateway === 'gw-3' && n >= goneAfter) continue;
          if (what === 'reading') gateways.read(gateway);
          else if (what === 'restart') gateways.restart(gateway);
          else gateways.count(gateway, what.server, what.requests);
        }
        const traffic = gateways.readings.reduce(taken, {});
        for (const server of SERVERS) expect(totalOf(traffic, server).requests).toBe(gateways.total(server));
      }),
    );
  });
});
