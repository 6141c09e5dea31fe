import { Agent } from 'undici';
import { describe, expect, it } from 'vitest';
import type { RouteServer, RouteTable } from '../../src/domain/routes/table.ts';
import { GatewayFixture, serverOf, sum, tableOf, until } from './support/gateway-fixture.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

const CLIENTS = 200;
const REQUESTS_EACH = 30;

/** Answers after a moment, and notes whether it was asked while it had to be left alone. */
class CarefulServer extends UpstreamServer {
  sealed = false;
  askedWhileSealed = 0;
  answered = 0;

  constructor(name: string) {
    super(name, (req, res) => {
      if (this.sealed) this.askedWhileSealed += 1;
      req.resume();
      req.once('end', () => {
        setTimeout(() => {
          if (this.sealed) this.askedWhileSealed += 1;
          this.answered += 1;
          answer(res, 200, name);
        }, Math.random() * 5);
      });
    });
  }
}

describe('under load, while tables change all the time', () => {
  it('no request fails, none reaches a sealed server (invariants 1 and 2), and every one is counted once', async () => {
    const servers = await Promise.all(
      ['s0', 's1', 's2', 's3'].map((name) => new CarefulServer(name).listen()),
    );
    const table = tableOf(servers, {
      transactions: { id: { from: 'header', name: 'x-transaction' }, idleMs: 60_000 },
    });
    await using fixture = await GatewayFixture.start(table, { upstreams: servers });
    const origin = fixture.url;
    const agent = new Agent({ connections: CLIENTS });
    const statuses = new Map<number, number>();
    let running = CLIENTS;

    const client = async (number: number): Promise<void> => {
      for (let i = 0; i < REQUESTS_EACH; i += 1) {
        const response = await agent.request({
          origin,
          path: `/r/${number}/${i}`,
          method: i % 3 === 0 ? 'POST' : 'GET',
          body: i % 3 === 0 ? 'x'.repeat(2_000) : null,
        });
        await response.body.dump();
        statuses.set(response.statusCode, (statuses.get(response.statusCode) ?? 0) + 1);
      }
      running -= 1;
    };

    /** Closes one server after the other, waits until it is idle, pretends to change it, and opens it again. */
    const upgrade = async (): Promise<number> => {
      let version = 1;
      const publish = (changes: Record<string, Partial<RouteServer>>): Promise<unknown> => {
        version += 1;
        const routes: RouteTable = {
          ...table,
          version,
          servers: servers.map((server) => serverOf(server as UpstreamServer, changes[server.name] ?? {})),
        };
        return fixture.admin.publish(routes, {});
      };
      while (running > 0) {
        const server = servers[version % servers.length] as CarefulServer;
        await publish({ [server.name]: { ingress: 'draining' } });
        await until(async () => (await fixture.load(server.name)).inFlight === 0, 'the drain');
        await publish({ [server.name]: { ingress: 'closed' } });
        await until(() => server.sockets.size === 0, 'the connections to close');
        server.sealed = true;
        await new Promise((resolve) => setImmediate(resolve));
        server.sealed = false;
        await publish({});
      }
      return version;
    };

    const [versions] = await Promise.all([
      upgrade(),
      ...Array.from({ length: CLIENTS }, (_, i) => client(i)),
    ]);
    await agent.close();

    const total = CLIENTS * REQUESTS_EACH;
    expect(Object.fromEntries(statuses)).toEqual({ 200: total });
    expect(versions).toBeGreaterThan(4);
    const counts = await fixture.counts();
    expect(sum(counts, 'requests')).toBe(total);
    expect(sum(counts, 'succeeded')).toBe(total);
    expect(sum(counts, 'volumeCount')).toBe(total);
    for (const server of servers) {
      expect(server.askedWhileSealed).toBe(0);
      const own = counts.filter((count) => count.server === server.name);
      expect(sum(own, 'requests')).toBe(server.answered);
      expect(await fixture.load(server.name)).toMatchObject({ inFlight: 0, transactions: 0 });
    }
  }, 60_000);

  it('servers that hang up on idle connections without notice cost no GET, and nothing is counted twice', async () => {
    const hangUp: UpstreamServer['handler'] = (req, res) => {
      answer(res, 200, 'ok');
      res.once('finish', () => {
        if (Math.random() < 0.2) req.socket.destroy();
      });
    };
    const servers = [
      await new UpstreamServer('s0', hangUp).listen(),
      await new UpstreamServer('s1', hangUp).listen(),
    ];
    await using fixture = await GatewayFixture.start(tableOf(servers), { upstreams: servers });
    const origin = fixture.url;
    const agent = new Agent({ connections: 50 });
    const statuses = new Set<number>();
    const client = async (): Promise<void> => {
      for (let i = 0; i < 40; i += 1) {
        const response = await agent.request({ origin, path: '/', method: 'GET' });
        await response.body.dump();
        statuses.add(response.statusCode);
      }
    };
    await Promise.all(Array.from({ length: 50 }, client));
    await agent.close();
    expect([...statuses]).toEqual([200]);
    const counts = await fixture.counts();
    expect([sum(counts, 'requests'), sum(counts, 'succeeded')]).toEqual([2_000, 2_000]);
  }, 60_000);
});
