import { beforeEach, describe, expect, it, vi } from 'vitest';
import writeFileAtomic from 'write-file-atomic';
import { acknowledge } from '../../src/controller/acknowledgements.ts';
import { adopt } from '../../src/controller/service-state.ts';
import { openServiceStore } from '../../src/controller/service-store.ts';
import { definitionWith, makeStateDir } from './running-controller.ts';

vi.mock('write-file-atomic', async (original) => {
  const { default: write } = await original<{ default: typeof writeFileAtomic }>();
  return { default: vi.fn(write) };
});
const writes = vi.mocked(writeFileAtomic);
beforeEach(() => void writes.mockClear());

const service = 'shop';
const names = Array.from({ length: 50 }, (_, n) => `gw-${n}`);
const ack = (gateway: string, version: number) => {
  const at = new Date().toISOString();
  return { gateway, version, by: 'push', asOf: at, at } as const;
};

async function openWith50(path: string) {
  const store = await openServiceStore(path);
  const gateways = names.map((name) => ({ name, kind: 'embedded', admin: 'http://127.0.0.1:1' }) as const);
  const definition = definitionWith(gateways);
  await store.create(service, (known) => adopt(known, { service, definition, at: new Date() }));
  writes.mockClear();
  return store;
}

describe('the store of services', () => {
  it('writes what is asked for at once together, and answers when it is on disk', async () => {
    await using dir = await makeStateDir();
    const store = await openWith50(dir.path);
    await Promise.all(
      names.map((name) => store.update(service, (state) => acknowledge(state, ack(name, 1)))),
    );
    expect(writes.mock.calls.length).toBeLessThanOrEqual(2);
    const again = await openServiceStore(dir.path);
    expect(again.get(service)).toEqual(store.get(service));
    expect(again.get(service).gateways.every(({ state }) => state.acknowledged === 1)).toBe(true);
  });

  it('lets a change that is refused leave the others alone', async () => {
    await using dir = await makeStateDir();
    const store = await openWith50(dir.path);
    const refused = () => {
      throw new Error('refused');
    };
    const results = await Promise.allSettled([
      store.update(service, (state) => acknowledge(state, ack('gw-1', 1))),
      store.update(service, refused),
      store.update(service, (state) => acknowledge(state, ack('gw-2', 1))),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const executed = store.get(service).gateways.filter(({ state }) => state.acknowledged === 1);
    expect(executed.map(({ address }) => address.name)).toEqual(['gw-1', 'gw-2']);
  });

  it('changes nothing where the disk fails, and goes on afterwards', async () => {
    await using dir = await makeStateDir();
    const store = await openWith50(dir.path);
    writes.mockRejectedValueOnce(new Error('no space left'));
    const before = store.get(service);
    const asked = ['gw-1', 'gw-2'].map((name) =>
      store.update(service, (state) => acknowledge(state, ack(name, 1))),
    );
    for (const one of asked) await expect(one).rejects.toThrow('no space left');
    expect(store.get(service)).toBe(before);
    await store.update(service, (state) => acknowledge(state, ack('gw-1', 1)));
    await store.settled();
    expect(store.get(service).gateways[1]?.state.acknowledged).toBe(1);
  });
});
