/** The few special functions that the rules need, to about 1e-14 relative. */

const HALF_LN_TWO_PI = 0.9189385332046727;

/** ln Γ(x) for x > 0, by Stirling's series. */
export function lnGamma(x: number): number {
  let shift = 0;
  let y = x;
  while (y < 15) {
    shift += Math.log(y);
    y += 1;
  }
  const z = 1 / (y * y);
  const series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188))))) / y;
  return (y - 0.5) * Math.log(y) - y + HALF_LN_TWO_PI + series - shift;
}

/** Upper tail of the standard normal distribution, P(Z > z); relative precision also far out. */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let k = 1; k < 200 && term > sum * 1e-18; k += 1) {
      term *= (z * z) / (2 * k + 1);
      sum += term;
    }
    return 0.5 - density * sum;
  }
  // Laplace's continued fraction, from its far end.
  let tail = z;
  for (let k = 200; k >= 1; k -= 1) tail = z + k / tail;
  return density / tail;
}

/** z with P(Z ≤ z) = p, for 0 < p < 1: bisection on the tail, which is exact, then Newton's steps. */
export function normalQuantile(p: number): number {
  if (p < 0.5) return -normalQuantile(1 - p);
  const tail = 1 - p;
  let low = 0;
  let high = 40;
  for (let i = 0; i < 30; i += 1) {
    const middle = (low + high) / 2;
    if (normalTail(middle) > tail) low = middle;
    else high = middle;
  }
  let z = (low + high) / 2;
  for (let i = 0; i < 3; i += 1) {
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    z += (normalTail(z) - tail) / density;
  }
  return z;
}

/** Bernoulli divergence d(p, q) = p·ln(p/q) + (1−p)·ln((1−p)/(1−q)); infinite where q rules out what p allows. */
export function divergence(p: number, q: number): number {
  return xLogRatio(p, q) + xLogRatio(1 - p, 1 - q);
}

function xLogRatio(p: number, q: number): number {
  if (p === 0) return 0;
  return q <= 0 ? Infinity : p * Math.log(p / q);
}
