import { z } from 'zod';
import { RULES } from '../decision/rule-spec.ts';
import { durationSchema, shareSchema } from './scalars.ts';

const DIFFERENCE_MESSAGE = 'must be a difference from 0, such as 0.5% of the customers, or for amounts 0.25';

/** `0.5%` or `0.005` of the units; of amounts and clicks a number per unit. */
const differenceSchema = z
  .union([z.string().regex(/^\d+(\.\d+)?%$/, DIFFERENCE_MESSAGE), z.number()], DIFFERENCE_MESSAGE)
  .transform((value) => (typeof value === 'number' ? value : Number(value.slice(0, -1)) / 100))
  .refine((value) => value >= 0 && Number.isFinite(value), DIFFERENCE_MESSAGE);

/** How the winner is chosen. What belongs to one rule only is checked across fields. */
export const decisionSchema = z
  .strictObject({
    rule: z
      .enum(RULES)
      .default('anytime')
      .describe(
        'anytime: looks at every reading and decides as soon as the evidence is there; max-efficacy: the greatest efficacy at the end of the trial wins, no error rate is promised; fixed-sample: a planned number per version, one look',
      ),
    epsilon: differenceSchema
      .exactOptional()
      .describe('Smallest difference of efficacies worth acting on, such as 0.5%; smaller ones end as a tie'),
    delta: shareSchema
      .prefault('5%')
      .describe('Chance that is accepted of promoting a version that is worse by more than epsilon'),
    expectedRate: shareSchema
      .exactOptional()
      .describe(
        'Efficacy that is expected, such as 10%: bets are placed for it; a wrong one costs time alone',
      ),
    deadline: durationSchema
      .exactOptional()
      .describe('The trial ends inconclusive when this much of it passed without a verdict'),
    minDuration: durationSchema.exactOptional().describe('Nothing is decided before, such as 7d'),
    everyFull: durationSchema
      .exactOptional()
      .describe('Decide only at the end of whole periods, such as 7d: weekends differ from weekdays'),
    leaderShare: shareSchema
      .exactOptional()
      .describe(
        'Share that the candidate in front gets of what all candidates get together, where traffic.policy deals by weights; the weights stand by default',
      ),
    nonInferiority: differenceSchema
      .exactOptional()
      .describe('A candidate need not beat the baseline, but be at most this much worse'),
    cap: z
      .number()
      .positive()
      .exactOptional()
      .describe('Amount or clicks above which an outcome counts as this much, such as the 99.5 % quantile'),
    unit: z
      .enum(['request', 'account'])
      .exactOptional()
      .describe(
        'What counts once: account where traffic sticks to accounts (the default), request where every one is dealt anew (the default of max-efficacy)',
      ),
    accountsAt: z
      .enum(['any-gateway', 'one-gateway'])
      .exactOptional()
      .describe(
        'For accounts, with several gateways: any-gateway, where the requests of an account come by several (each gateway then counts its part of the accounts); one-gateway, where a balancer keeps every account on one',
      ),
    window: durationSchema
      .prefault('1m')
      .describe('How long after its first request an account’s requests count for its outcome'),
    outcomeWithin: durationSchema
      .prefault('10s')
      .describe('An outcome that comes later than this is none: the request, or the account’s last, failed'),
    unitsPerVersion: z
      .int()
      .positive()
      .exactOptional()
      .describe('For fixed-sample: requests or accounts of every version before the one look'),
    aaTest: z
      .boolean()
      .exactOptional()
      .describe('The same version on two clusters: a difference means that the measuring is wrong'),
    traffic: z
      .number()
      .positive()
      .exactOptional()
      .describe('Requests or accounts per second, to say how long a verdict takes'),
  })
  .transform(({ deadline, minDuration, everyFull, window, outcomeWithin, ...rest }) => ({
    ...rest,
    unit: rest.unit ?? (rest.rule === 'max-efficacy' ? ('request' as const) : ('account' as const)),
    // Plans in histories from before that was so do not have it: their amounts are compared as they came.
    ...(rest.rule === 'max-efficacy' && rest.cap !== undefined ? { comparesCapped: true as const } : {}),
    windowMs: window,
    outcomeWithinMs: outcomeWithin,
    ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    ...(minDuration === undefined ? {} : { minDurationMs: minDuration }),
    ...(everyFull === undefined ? {} : { everyFullMs: everyFull }),
  }));
