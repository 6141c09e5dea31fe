import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChangeoverError } from '../../../src/domain/errors.ts';
import type { RouteServer, RouteTable, TrafficSplit } from '../../../src/domain/routes/table.ts';
import {
  applyTransitions,
  releasesOfSplit,
  type Transition,
} from '../../../src/domain/routes/transitions.ts';

const RELEASES = ['1.4', '2.0-a', '2.0-b'] as const;
const SERVERS = ['a1', 'a2', 'b1', 'c1', 'c2'] as const;

const measure = {
  allocated: {},
  volume: { kind: 'successes', match: {} },
  slowMs: 1000,
} as const;

const split: TrafficSplit = {
  key: { from: 'header', name: 'x-account' },
  policy: {
    kind: 'tail',
    rules: [
      { tail: 'odd', to: '2.0-a' },
      { tail: 'even', to: '2.0-b' },
    ],
  },
  withoutKey: '1.4',
  baseline: '1.4',
  share: 0.05,
  salt: 's',
  pulled: [],
};

const release = fc.constantFrom(...RELEASES);
const servers = fc.uniqueArray(fc.constantFrom(...SERVERS), { minLength: 1 });
const anySplit: fc.Arbitrary<TrafficSplit> = fc.record({
  key: fc.constant(split.key),
  policy: fc.oneof(
    fc.constant(split.policy),
    fc.record({
      kind: fc.constant('hash' as const),
      salt: fc.constant('h'),
      weights: fc.dictionary(release, fc.constantFrom(0, 1, 3), { minKeys: 1 }),
    }),
  ),
  withoutKey: release,
  baseline: release,
  share: fc.constantFrom(0, 0.05, 1),
  salt: fc.constantFrom('s', 't'),
  pulled: fc.uniqueArray(release),
});
const transition: fc.Arbitrary<Transition> = fc.oneof(
  fc.record({ kind: fc.constant('close' as const), servers }),
  fc.record({ kind: fc.constant('seal' as const), servers }),
  fc.record({ kind: fc.constant('open' as const), servers, release }),
  fc.record({ kind: fc.constant('split' as const), split: anySplit }),
  fc.record({ kind: fc.constant('share' as const), share: fc.constantFrom(0, 0.25, 1) }),
  fc.record({ kind: fc.constant('pull' as const), release }),
  fc.record({ kind: fc.constant('restore' as const), release }),
  fc.record({ kind: fc.constant('main' as const), release }),
  fc.record({ kind: fc.constant('remove' as const), servers }),
  fc.record({
    kind: fc.constant('measure' as const),
    measure: fc.constant({ ...measure, slowMs: 5 }),
    transactions: fc.constant(null),
  }),
);

const server: fc.Arbitrary<Omit<RouteServer, 'name'>> = fc.record({
  cluster: fc.constantFrom('a', 'b'),
  url: fc.constant('http://127.0.0.1:1'),
  release,
  ingress: fc.constantFrom('open', 'draining', 'closed'),
});
const table: fc.Arbitrary<RouteTable> = fc
  .record({
    service: fc.constant('shop'),
    version: fc.nat({ max: 1000 }),
    mainRelease: release,
    split: fc.option(anySplit),
    servers: fc
      .tuple(...SERVERS.map(() => server))
      .map((all) => all.map((one, i) => ({ ...one, name: SERVERS[i]! }))),
    transactions: fc.constant(null),
    measure: fc.constant(measure),
  })
  .filter((t) => homeless(t).length === 0);

function homeless(t: RouteTable): string[] {
  const open = t.servers.filter(({ ingress }) => ingress === 'open').map((one) => one.release);
  return [t.mainRelease, ...(t.split === null ? [] : releasesOfSplit(t.split))].filter(
    (r) => !open.includes(r),
  );
}

/** The table afterwards, or undefined where the change is refused for safety. */
function tryApply(
  t: RouteTable,
  transitions: readonly Transition[],
  version: number,
): RouteTable | undefined {
  try {
    return applyTransitions(t, transitions, version);
  } catch (error) {
    if (error instanceof ChangeoverError && error.code === 'UnsafeTransition') return undefined;
    throw error;
  }
}

describe('transitions of routes', () => {
  it('change nothing when each is applied to its own result (invariant 9)', () => {
    fc.assert(
      fc.property(table, transition, (t, one) => {
        const once = tryApply(t, [one], 7);
        fc.pre(once !== undefined);
        expect(tryApply(once, [one], 7)).toEqual(once);
      }),
    );
  });

  it('never leave the main release, or one that gets keys, without an open server (invariant 3)', () => {
    fc.assert(
      fc.property(table, fc.array(transition, { maxLength: 6 }), (t, list) => {
        const next = tryApply(t, list, t.version + 1);
        if (next !== undefined) expect(homeless(next)).toEqual([]);
      }),
    );
  });

  it('leave their input as it was, and give the version asked for', () => {
    fc.assert(
      fc.property(table, fc.array(transition, { maxLength: 6 }), (t, list) => {
        const before = structuredClone({ t, list });
        const next = tryApply(t, list, t.version + 1);
        expect({ t, list }).toEqual(before);
        if (next !== undefined) expect(next.version).toBe(t.version + 1);
      }),
    );
  });

  it('close only what is open: a sealed server stays sealed until it is opened (invariant 1)', () => {
    fc.assert(
      fc.property(table, fc.array(transition, { maxLength: 6 }), (t, list) => {
        const next = tryApply(
          t,
          list.filter(({ kind }) => kind !== 'open'),
          9,
        );
        const sealed = t.servers.filter(({ ingress }) => ingress === 'closed').map(({ name }) => name);
        for (const one of next?.servers ?? [])
          if (sealed.includes(one.name)) expect(one.ingress).toBe('closed');
      }),
    );
  });

  it('keep a pulled candidate pulled for the whole trial, whoever sends the split anew', () => {
    fc.assert(
      fc.property(table, fc.array(transition, { maxLength: 6 }), (t, list) => {
        const staying = list.filter(({ kind }) => kind !== 'main' && kind !== 'restore');
        const next = tryApply(t, staying, 9);
        const [present, kept] = [t.split, next?.split ?? null];
        fc.pre(present !== null && kept !== null && kept.salt === present.salt);
        fc.pre(staying.every((one) => one.kind !== 'split' || one.split.salt === present.salt));
        expect(kept.pulled).toEqual(expect.arrayContaining([...present.pulled]));
      }),
    );
  });

  it.each<[string, Transition[]]>([
    ['closing the last open server of the main release', [{ kind: 'close', servers: ['a1', 'a2'] }]],
    ['a split that draws traffic to a release nobody serves', [{ kind: 'split', split }]],
    ['moving everything to a release nobody serves', [{ kind: 'main', release: '2.0-a' }]],
    ['a server that does not exist', [{ kind: 'close', servers: ['z9'] }]],
  ])('are refused as a whole for %s', (_, transitions) => {
    const t: RouteTable = {
      service: 'shop',
      version: 1,
      mainRelease: '1.4',
      split: null,
      servers: ['a1', 'a2'].map((name) => ({
        name,
        cluster: 'a',
        url: 'http://127.0.0.1:1',
        release: '1.4',
        ingress: 'open',
      })),
      transactions: null,
      measure,
    };
    expect(() => applyTransitions(t, transitions, 2)).toThrow(
      expect.objectContaining({ code: 'UnsafeTransition' }),
    );
  });
});
