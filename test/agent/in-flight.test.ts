import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createServerFixture, eventually } from './server-fixture.ts';

describe.runIf(process.platform === 'linux')('business in flight on a server', () => {
  it('is the established connections that the system sees, without those of the agent', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent({ inFlight: { connections: { port: server.port } } });
    expect(await agent.status()).toMatchObject({ inFlight: 0 });
    await agent.upgraded(await server.pack('1.4'));
    await eventually(agent.status, ({ inFlight }) => inFlight === 0);

    const sockets = [await hold(server.port), await hold(server.port)];
    const readings = await Promise.all(Array.from({ length: 5 }, () => agent.status()));
    expect(readings.map(({ inFlight }) => inFlight)).toEqual([2, 2, 2, 2, 2]);
    for (const socket of sockets) socket.destroy();
    await eventually(agent.status, ({ inFlight }) => inFlight === 0);
  });

  it('is what the software itself says; where it cannot be had, the status says why (invariant 2)', async () => {
    await using server = await createServerFixture();
    const base = `http://127.0.0.1:${server.port}`;
    {
      await using agent = await server.agent({ inFlight: { url: `${base}/in-flight` } });
      expect(await agent.status()).toMatchObject({ inFlight: 0 });
      await agent.upgraded(await server.pack('1.4'));
      expect(await agent.status()).toMatchObject({ inFlight: 7 });
    }
    {
      await using agent = await server.agent({ inFlight: { url: `${base}/no-number` } });
      await eventually(agent.status, ({ healthy }) => healthy);
      // It answers `1.4`, which is no count.
      expect(await agent.status()).toMatchObject({
        inFlight: null,
        inFlightProblem: `What is in flight cannot be counted: ${base}/no-number answered neither a number nor {"inFlight": number}.`,
      });
    }
    {
      const nobody = 'http://127.0.0.1:1/in-flight';
      await using agent = await server.agent({ inFlight: { url: nobody } });
      await eventually(agent.status, ({ healthy }) => healthy);
      expect(await agent.status()).toMatchObject({
        inFlight: null,
        inFlightProblem: expect.stringContaining(`${nobody} did not answer`) as unknown,
      });
    }
    await using agent = await server.agent();
    const unconfigured = await agent.status();
    expect(unconfigured).toMatchObject({ inFlight: null });
    expect(unconfigured).not.toHaveProperty('inFlightProblem');
  });

  it('and the version is what the software itself says, where it can be asked', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent({
      version: { url: `http://127.0.0.1:${server.port}/version` },
      health: { url: `http://127.0.0.1:${server.port}/health`, timeout: '600ms', interval: '50ms' },
    });
    const honest = await server.pack('1.4');
    expect(await agent.upgraded(honest)).toMatchObject({ runningVersion: '1.4' });
    // The package says 1.4 inside, whatever the plan calls it.
    const mislabelled = await agent.upgraded({ ...honest, version: '2.0-a' });
    expect(mislabelled).toMatchObject({
      runningVersion: '1.4',
      upgrade: { state: 'failed', error: { code: 'StartFailed' } },
    });
  });
});

/** A request that is answered without an end. */
async function hold(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /hold HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(socket, 'data');
  return socket;
}
