/** A stream of numbers in [0, 1) that depends on its seed alone, so that a simulation can be repeated. */
export type Random = () => number;

/** The generator sfc32 (Doty-Humphrey), which passes PractRand; its state is filled from the seed by splitmix32. */
export function seededRandom(seed: number): Random {
  let filler = seed >>> 0;
  const fill = (): number => {
    filler = (filler + 0x9e3779b9) | 0;
    let x = filler ^ (filler >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return (x ^ (x >>> 15)) | 0;
  };
  let a = fill();
  let b = fill();
  let c = fill();
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i += 1) next();
  return () => next() / 4_294_967_296;
}

/** A standard normal number (Marsaglia's polar method; the second of the pair is not kept). */
export function normal(random: Random): number {
  for (;;) {
    const u = 2 * random() - 1;
    const v = 2 * random() - 1;
    const s = u * u + v * v;
    if (s > 0 && s < 1) return u * Math.sqrt((-2 * Math.log(s)) / s);
  }
}

/** A number of successes in n independent tries of chance p, exactly distributed; quick for any n. */
export function binomial(random: Random, n: number, p: number): number {
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial(random, n, 1 - p);
  return n * p < 10 ? byInversion(random, n, p) : byRejection(random, n, p);
}

/** Tries between successes are geometric. */
function byInversion(random: Random, n: number, p: number): number {
  const lnQ = Math.log1p(-p);
  let tries = 0;
  let successes = 0;
  for (;;) {
    tries += Math.floor(Math.log(1 - random()) / lnQ) + 1;
    if (tries > n) return successes;
    successes += 1;
  }
}

/** Transformed rejection (algorithm BTRS of Hörmann 1993), for n·p ≥ 10 and p ≤ 1/2. */
function byRejection(random: Random, n: number, p: number): number {
  const sd = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * sd;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const centre = n * p + 0.5;
  const edge = 0.92 - 4.2 / b;
  const alpha = (2.83 + 5.1 / b) * sd;
  const odds = Math.log(p / (1 - p));
  const mode = Math.floor((n + 1) * p);
  const h = tail(mode) + tail(n - mode);
  for (;;) {
    const u = random() - 0.5;
    const v = 1 - random();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + centre);
    if (us >= 0.07 && v <= edge) return k;
    if (k < 0 || k > n) continue;
    const level = Math.log((v * alpha) / (a / (us * us) + b));
    const bound =
      h +
      (n + 1) * Math.log((n - mode + 1) / (n - k + 1)) +
      (k + 0.5) * Math.log(((n - k + 1) * Math.exp(odds)) / (k + 1)) +
      (mode + 0.5) * Math.log((mode + 1) / (Math.exp(odds) * (n - mode + 1))) -
      tail(k) -
      tail(n - k);
    if (level <= bound) return k;
  }
}

/** What Stirling's formula leaves of ln k!. */
const TAIL = [
  0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.020790672103765, 0.0166446911898211,
  0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.0092554621827127, 0.0083305634333628,
];

function tail(k: number): number {
  const known = TAIL[k];
  if (known !== undefined) return known;
  const next = (k + 1) * (k + 1);
  return (1 / 12 - (1 / 360 - 1 / 1260 / next) / next) / (k + 1);
}
