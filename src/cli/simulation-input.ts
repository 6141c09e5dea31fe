import { InvalidArgumentError } from 'commander';
import { isBounded } from '../domain/decision/rule-spec.ts';
import { ruleSpecOf } from '../domain/decision/spec-of.ts';
import { allOf } from '../domain/decision/sentence.ts';
import { ChangeoverError } from '../domain/errors.ts';
import { parseDurationMs } from '../domain/duration.ts';
import type { Plan } from '../domain/plan/schema.ts';

/** What `plan` and `simulate` ask for beside the plan. */

export function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It has to be a number above 0.');
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It has to be a whole number above 0.');
}

export function durationMs(text: string): number {
  const value = parseDurationMs(text);
  if (value !== undefined && value > 0) return value;
  throw new InvalidArgumentError('It has to be a duration such as 12h or 14d.');
}

/** `0.10,0.11` or `10%,11%`. */
export function rateList(text: string): readonly number[] {
  const rates = text
    .split(',')
    .map((each) => each.trim())
    .map((each) => (each.endsWith('%') ? Number(each.slice(0, -1)) / 100 : each === '' ? NaN : Number(each)));
  if (rates.every((rate) => Number.isFinite(rate) && rate >= 0)) return rates;
  throw new InvalidArgumentError('It has to be a list such as 0.10,0.11 or 10%,11%.');
}

/** `0.5` or `50%`. */
export function shareOf(text: string): number {
  const [share = NaN, ...more] = rateList(text);
  if (more.length === 0 && share <= 1) return share;
  throw new InvalidArgumentError('It has to be a share from 0 to 1, or from 0% to 100%.');
}

/**
 * @param spread - how far the rates of groups lie from these, as a share of them.
 * @throws ChangeoverError `InvalidRequest` where the rates are not those of the plan's versions, or none.
 */
export function assertRates(plan: Plan, rates: readonly number[], spread = 0): void {
  const spec = ruleSpecOf(plan);
  if (rates.length !== spec.arms.length) {
    const names = allOf(
      spec.arms.map(({ version, role }) => (role === 'baseline' ? `${version} (baseline)` : version)),
    );
    throw new ChangeoverError(
      'InvalidRequest',
      `--rates must have one number for each version that is compared, in this order: ${names}; it had ${rates.length}.`,
    );
  }
  if (!isBounded(spec) && rates.some((rate) => rate > 1)) {
    throw new ChangeoverError('InvalidRequest', '--rates must be shares between 0 and 1 (or 0% and 100%).');
  }
  if (spread > 0 && spec.comparison !== 'stratified') {
    throw new ChangeoverError(
      'InvalidRequest',
      '--spread is for plans whose traffic.policy deals groups at random; this one deals none.',
    );
  }
  if (!isBounded(spec) && rates.some((rate) => rate * (1 + spread) > 1)) {
    throw new ChangeoverError(
      'InvalidRequest',
      `--spread ${spread} lets a group succeed in more than all cases: the greatest rate is ${Math.max(...rates)}.`,
    );
  }
}

/** Requests or accounts per second: as asked, or as the plan says. @throws ChangeoverError `InvalidRequest`. */
export function trafficOf(plan: Plan, asked: number | undefined): number {
  const traffic = asked ?? plan.decision.traffic;
  if (traffic !== undefined) return traffic;
  throw new ChangeoverError(
    'InvalidRequest',
    'How long it takes depends on the traffic: say --traffic (per second), or decision.traffic in the plan.',
  );
}
