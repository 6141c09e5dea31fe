export const BUSINESS_KINDS = ['quick', 'visit', 'slow', 'transaction'] as const;
export type BusinessKind = (typeof BUSINESS_KINDS)[number];

/** Weights by which the next business is drawn; a transaction counts once here, whatever its number of requests. */
export type Mix = Readonly<Record<BusinessKind, number>>;

export const DEFAULT_MIX: Mix = { quick: 66, visit: 30, slow: 1, transaction: 3 };

export interface Step {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Pause between the answer to the step before and this one. */
  readonly afterMs: number;
}

/** One thing that an account does: a single request, or a transaction of several. */
export interface Business {
  readonly id: string;
  readonly kind: BusinessKind;
  readonly account: string;
  readonly steps: readonly [Step, ...Step[]];
}

/** The accounts are numbers of six digits or more, so that every kind of traffic policy has something to go by. */
export function accountName(index: number): string {
  return String(100_000 + index);
}

/** Mulberry32: numbers of [0, 1), the same for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const QUICK_PATHS = ['/', '/products', '/page/2'] as const;

/**
 * An endless sequence of business, the same for the same seed. All that is drawn is drawn here, so that the order in
 * which answers come does not change what is sent.
 */
export function createBusinessSequence(options: {
  readonly seed: number;
  readonly accounts: number;
  readonly mix: Mix;
}): () => Business {
  const random = createRandom(options.seed);
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const total = BUSINESS_KINDS.reduce((sum, kind) => sum + options.mix[kind], 0);
  let drawn = 0;

  function kind(): BusinessKind {
    let left = random() * total;
    return BUSINESS_KINDS.find((each) => (left -= options.mix[each]) < 0) ?? 'quick';
  }

  function steps(of: BusinessKind): Business['steps'] {
    switch (of) {
      case 'quick':
        return [{ method: 'GET', path: QUICK_PATHS[between(0, 2)] ?? '/', afterMs: 0 }];
      case 'visit':
        return [{ method: 'POST', path: '/visit', afterMs: 0 }];
      case 'slow':
        return [{ method: 'GET', path: `/slow?ms=${between(1000, 3000)}`, afterMs: 0 }];
      case 'transaction': {
        const pause = (path: string): Step => ({ method: 'POST', path, afterMs: between(100, 400) });
        const middle = Array.from({ length: between(2, 4) }, () => pause('/tx/step'));
        return [{ method: 'POST', path: '/tx', afterMs: 0 }, ...middle, pause('/tx/finish')];
      }
    }
  }

  return () => {
    const next = kind();
    drawn += 1;
    const account = accountName(between(0, options.accounts - 1));
    return { id: `${options.seed}-${drawn}`, kind: next, account, steps: steps(next) };
  };
}
