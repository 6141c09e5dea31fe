import { z } from 'zod';
import { VOLUME_KINDS } from '../measure.ts';
import { sourceSchema } from './source-schema.ts';
import {
  armSchema,
  baggageNameSchema,
  cookieNameSchema,
  durationSchema,
  headerNameSchema,
  headerValueSchema,
  methodSchema,
  pathSchema,
  queryNameSchema,
  spelledHeaderSchema,
} from './scalars.ts';

/** How traffic is drawn to the versions, and what of it counts. */

const lookup = {
  lookup: z
    .string()
    .min(1, 'must be a file')
    .exactOptional()
    .describe(
      "File on the gateway's host (CSV `key,value` or a JSON object) that turns the key into its value, such as account → age",
    ),
};
const header = z.strictObject({ from: z.literal('header'), name: spelledHeaderSchema });
const cookie = z.strictObject({ from: z.literal('cookie'), name: cookieNameSchema });
const query = z.strictObject({ from: z.literal('query'), name: queryNameSchema });
const baggage = z.strictObject({
  from: z.literal('baggage'),
  name: baggageNameSchema
    .default('changeover.key')
    .describe('Member of W3C baggage; by default the key that the edge writes there'),
});
const path = z.strictObject({
  from: z.literal('path'),
  segment: z.int().positive().describe('1 is the first segment of the path'),
});
const keySchema = z.discriminatedUnion('from', [
  header.extend(lookup),
  cookie.extend(lookup),
  query.extend(lookup),
  baggage.extend(lookup),
  path.extend(lookup),
]);
const accountSchema = z.discriminatedUnion('from', [header, cookie, query, baggage, path]);

const to = armSchema.describe('Version that these keys go to');
const weightsSchema = z.record(armSchema, z.number().nonnegative());
const targetSchema = z.union(
  [armSchema, weightsSchema],
  'must be a version in quotes, such as "1.4", or weights such as { 2.0-a: 50, 2.0-b: 50 }',
);
const groupTarget = targetSchema.describe(
  'Version that these keys go to; or weights, by which the accounts of this group are dealt at random, so that versions can be compared inside it',
);
const dealt = {
  otherwise: targetSchema.exactOptional().describe('Version, or weights, for keys that no rule names'),
  salt: z
    .string()
    .min(1)
    .exactOptional()
    .describe(
      'Where groups are dealt by weights: another salt deals the accounts anew; `changeover` by default',
    ),
};
const otherwise = {
  otherwise: armSchema.exactOptional().describe('Version for keys that no rule names'),
};
export const policySchema = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('tail'),
      rules: z
        .array(
          z.strictObject({
            tail: z
              .union(
                [z.enum(['odd', 'even']), z.array(z.int().min(0).max(9)).min(1)],
                'must be odd, even, or a list of digits such as [1, 3]',
              )
              .describe('Last digit of the key: odd, even, or a list of digits'),
            to,
          }),
        )
        .min(1),
      ...otherwise,
    })
    .describe('By the last digit of the key, such as an account or card number'),
  z
    .strictObject({
      kind: z.literal('range'),
      rules: z
        .array(
          z.strictObject({
            from: z.number().exactOptional().describe('Smallest key of the range; none: no lower bound'),
            below: z.number().exactOptional().describe('First key above the range; none: no upper bound'),
            to: groupTarget,
          }),
        )
        .min(1),
      ...dealt,
    })
    .describe('By number, such as an age group'),
  z
    .strictObject({
      kind: z.literal('values'),
      rules: z.array(z.strictObject({ values: z.array(z.string().min(1)).min(1), to: groupTarget })).min(1),
      ...dealt,
    })
    .describe('By listed values, such as branches'),
  z
    .strictObject({
      kind: z.literal('hash'),
      salt: z
        .string()
        .min(1)
        .default('changeover')
        .describe('Another salt deals the keys anew: change it from upgrade to upgrade'),
      weights: weightsSchema.describe('Version → weight, such as 50'),
    })
    .describe('By a salted hash of the key, in proportion to weights'),
]);

const transactionsSchema = z
  .strictObject({
    id: z
      .discriminatedUnion('from', [
        z.strictObject({ from: z.literal('header'), name: spelledHeaderSchema }),
        z.strictObject({ from: z.literal('cookie'), name: cookieNameSchema }),
        z.strictObject({
          from: z.literal('baggage'),
          name: baggageNameSchema
            .default('changeover.transaction')
            .describe('Member of W3C baggage; by default the id that the edge writes there'),
        }),
      ])
      .describe('Where the id of a transaction is found'),
    idle: durationSchema.prefault('5m').describe('A transaction without a request for this long is over'),
    endHeader: headerNameSchema
      .exactOptional()
      .describe('Response header by which the server says that the transaction ended'),
  })
  .transform(({ idle, ...rest }) => ({ ...rest, idleMs: idle }));

/** Key → version, and what belongs together. */
export const trafficSchema = z.strictObject({
  key: keySchema.describe('Where the key of a request (account, card, customer …) is found'),
  policy: policySchema.describe('Key → version'),
  account: accountSchema
    .exactOptional()
    .describe(
      'Where groups are dealt by weights: where the account (card, customer …) is found by which they are; by default the key before it is looked up',
    ),
  withoutKey: armSchema
    .exactOptional()
    .describe(
      'Version for requests without a key; the baseline by default. Where it is a candidate, a stage sends either all of them there or none, since there is no key to tell them apart',
    ),
  transactions: transactionsSchema
    .exactOptional()
    .describe('Business of several requests, which ends on the server where it began'),
});

const matchSchema = z.strictObject({
  method: methodSchema.exactOptional(),
  path: pathSchema.exactOptional(),
  status: z
    .string()
    .regex(/^[1-5](xx|\d\d)$/, 'must be a status such as "201", or a class such as 2xx')
    .exactOptional()
    .describe('Status of the response, such as "201", or a class such as 2xx'),
  header: z
    .strictObject({ name: headerNameSchema, value: headerValueSchema.exactOptional() })
    .exactOptional()
    .describe('Response header that must be there, with this value where one is given'),
});

export const measureSchema = z
  .strictObject({
    allocated: z
      .strictObject({ method: methodSchema.exactOptional(), path: pathSchema.exactOptional() })
      .prefault({})
      .describe('Requests that count as allocated traffic; all of them by default'),
    volume: z
      .strictObject({
        kind: z.enum(VOLUME_KINDS).describe('What is counted, or for `amount` added up'),
        match: matchSchema.prefault({}).describe('Requests that count as transaction volume'),
        amountHeader: headerNameSchema
          .exactOptional()
          .describe(
            'For `amount`: the response header with the number that is added up, such as 19.90: at most ten digits before the point, four decimals count',
          ),
      })
      .describe('Transaction volume: efficacy is this, divided by allocated traffic'),
    slow: durationSchema.prefault('1s').describe('A response that takes longer counts as slow'),
    source: sourceSchema
      .exactOptional()
      .describe('Where units and outcomes are read for the decision; by default at the gateways'),
  })
  .transform(({ slow, ...rest }) => ({ ...rest, slowMs: slow }));
