import { readFileSync } from 'node:fs';
import { z } from 'zod';

const n = z.number();
const row2 = z.tuple([n, n]);
const row3 = z.tuple([n, n, n]);
const row4 = z.tuple([n, n, n, n]);
const row5 = z.tuple([n, n, n, n, n]);
const row6 = z.tuple([n, n, n, n, n, n]);

// No values of rendezvous hashing: keys are dealt by slots of a salted hash (test/domain/policy/route-key.test.ts).
const schema = z.strictObject({
  source: z.string(),
  klbin: z.record(z.string(), n),
  kl: z.array(row3),
  tstar: z.record(z.string(), z.object({ mu: z.array(n), T: n, w: z.array(n) })),
  glr: z.array(row5),
  bb_step: z.array(z.object({ na: n, sa: n, nb: n, sb: n, c: n, m: n, h: n, ln_e: n })),
  psi: z.array(row2),
  eb_step: z.array(z.object({ na: n, Sa: n, Qa: n, nb: n, Sb: n, Qb: n, c: n, v: n, m: n, h: n, ln_e: n })),
  mixture: z.array(z.tuple([z.array(n), n])),
  asympcs: z.array(z.object({ s2: n, n, alpha: n, rho: n, half: n, rho1: n, half1: n })),
  msprt_lnE: z.array(row5),
  // `chi2_p`, the χ² test of the same counts, is computed by nothing here.
  srm_dm: z.array(z.strictObject({ x: z.array(n), theta: z.array(n), conc: n, lnE: n, chi2_p: n })),
  srm_plugin: z.object({ blocks: z.array(z.tuple([z.array(n), z.array(n)])), lnE: z.array(n) }),
  guard_abs: z.array(z.object({ s: n, f: n, L: n, theta: z.array(n), lnE: n, fires_at_001: z.boolean() })),
  fixed_n: z.array(z.object({ p1: n, p2: n, alpha: n, power: n, n_per_arm: n })),
  ztest: z.array(row6),
  wilson95: z.array(row4),
  lkt: z.array(row3),
  lgamma: z.array(row2),
  normal_quantile: z.array(row2),
  P_beta_a_gt_b: z.array(row5),
  bucket_var: z.object({ N: z.array(n), S: z.array(n), ratio: n, var: n, binomial_var: n }),
  evalue_confounding: z.array(row2),
  KK21: z.array(row2),
  replay: z.object({
    delta: n,
    eps: n,
    grid: z.array(n),
    blocks: z.array(z.array(row2)),
    log: z.array(z.object({ look: n, lnE0_20: n, lnE0_21: n, lnEe_21: n, event: z.string().nullable() })),
  }),
});

/** Numbers that were computed elsewhere; the file names how. A set that is not listed above is refused. */
export function referenceValues(): z.output<typeof schema> {
  const text = readFileSync(new URL('reference/values.json', import.meta.url), 'utf8');
  return schema.parse(JSON.parse(text));
}
