import { request } from 'undici';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ChangeoverError } from '../../src/domain/errors.ts';
import { callControl, type ControlCall } from '../../src/protocol/control-client.ts';
import { createControlApp, isLoopback, listen, readBody } from '../../src/protocol/control-server.ts';

const logger = pino({ level: 'silent' });
const thing = z.strictObject({ name: z.string(), servers: z.array(z.strictObject({ port: z.int() })) });

async function startApi(token?: string) {
  const app = createControlApp({ logger, ...(token === undefined ? {} : { token }) });
  app.get('/health', (c) => c.json({ ok: true }));
  app.get('/empty', (c) => c.body(null, 204));
  app.put('/things', async (c) => c.json(await readBody(c, thing)));
  app.get('/broken', () => {
    throw new Error('secret detail at /etc/passwd');
  });
  app.get('/locked', () => {
    throw new ChangeoverError('ServiceLocked', 'held by upgrade-1', { details: { upgradeId: 'upgrade-1' } });
  });
  app.get('/silent', () => new Promise<Response>(() => undefined));
  const listening = await listen(app, {
    host: '127.0.0.1',
    port: 0,
    ...(token === undefined ? {} : { token }),
  });
  return { url: listening.url, [Symbol.asyncDispose]: () => listening.close() };
}

function callOf(baseUrl: string, more: Partial<ControlCall<unknown>>): ControlCall<unknown> {
  return {
    baseUrl,
    method: 'GET',
    path: '/health',
    answer: z.unknown(),
    timeoutMs: 5_000,
    peer: 'the test API',
    unreachable: 'GatewayUnreachable',
    ...more,
  };
}

describe('control API', () => {
  it('answers a valid call, and an empty answer is undefined', async () => {
    await using api = await startApi();
    const body = { name: 'a', servers: [{ port: 1 }] };
    expect(await callControl(callOf(api.url, { method: 'PUT', path: '/things', body }))).toEqual(body);
    expect(await callControl(callOf(api.url, { path: '/empty', answer: z.undefined() }))).toBeUndefined();
  });

  it('names every wrong field of a body', async () => {
    await using api = await startApi();
    const body = { servers: [{ port: 'x' }], more: 1 };
    const call = callControl(callOf(api.url, { method: 'PUT', path: '/things', body }));
    await expect(call).rejects.toMatchObject({ code: 'InvalidRequest' });
    await expect(call).rejects.toThrow(/name: .*servers\[0\]\.port: .*"more"/);
  });

  it('asks for the token, except for health', async () => {
    await using api = await startApi('s3cret');
    await callControl(callOf(api.url, {}));
    const refused = { code: 'Unauthorized' };
    await expect(callControl(callOf(api.url, { path: '/empty' }))).rejects.toMatchObject(refused);
    await expect(callControl(callOf(api.url, { path: '/empty', token: 's3cre' }))).rejects.toMatchObject(
      refused,
    );
    await callControl(callOf(api.url, { path: '/empty', token: 's3cret' }));
  });

  it('without a token refuses what a web page could send', async () => {
    await using api = await startApi();
    const crossOrigin = await request(`${api.url}/empty`, { headers: { origin: 'https://evil.example' } });
    expect(crossOrigin.statusCode).toBe(401);
    await crossOrigin.body.dump();
    const rebound = await request(`${api.url}/empty`, { headers: { host: 'evil.example' } });
    expect(rebound.statusCode).toBe(401);
    await rebound.body.dump();
  });

  it('tells a client the code and details of an error, and never a stack', async () => {
    await using api = await startApi();
    await expect(callControl(callOf(api.url, { path: '/locked' }))).rejects.toMatchObject({
      code: 'ServiceLocked',
      details: { upgradeId: 'upgrade-1' },
    });
    await expect(callControl(callOf(api.url, { path: '/nowhere' }))).rejects.toMatchObject({
      code: 'NotFound',
    });
    const response = await request(`${api.url}/broken`);
    expect(response.statusCode).toBe(500);
    expect(await response.body.text()).not.toMatch(/secret|passwd|at /);
  });

  it('maps no answer in time, no listener and a strange answer to the code for unreachable', async () => {
    const expected = { code: 'GatewayUnreachable' };
    let url: string;
    {
      await using api = await startApi();
      url = api.url;
      const late = callControl(callOf(url, { path: '/silent', timeoutMs: 50 }));
      await expect(late).rejects.toMatchObject(expected);
      const strange = callControl(callOf(url, { answer: z.object({ version: z.int() }) }));
      await expect(strange).rejects.toThrow(/version/);
    }
    await expect(callControl(callOf(url, {}))).rejects.toMatchObject(expected);
  });

  it("ends with the caller's own reason when the caller aborts", async () => {
    await using api = await startApi();
    const signal = AbortSignal.abort(new Error('cancelled by the caller'));
    await expect(callControl(callOf(api.url, { signal }))).rejects.toThrow('cancelled by the caller');
  });

  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['localhost.evil.example', false],
  ])('knows whether %s is loopback: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });

  it('does not listen beyond loopback without a token', async () => {
    const app = createControlApp({ logger });
    await expect(listen(app, { host: '0.0.0.0', port: 0 })).rejects.toMatchObject({ code: 'InvalidRequest' });
  });
});
