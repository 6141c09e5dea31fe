import type { ArmNumbers, Comparison, Missing } from './rule-verdict.ts';
import { controlOf, isBounded, isUnbounded, type RuleSpec } from './rule-spec.ts';
import type { RuleState } from './rule-state.ts';
import { allOf, decimalsToTell, formatCount, formatEfficacy, grouped } from './sentence.ts';
import { formatDuration } from '../duration.ts';

/** Numbers of a verdict as clauses of its sentence. */

const MOST_SHOWN = Math.log(1e6);

/** Evidence as a number of times: `164`, or `more than a million`. Below 10 with one decimal. */
export function formatEvidence(lnE: number): string {
  if (lnE > MOST_SHOWN) return 'more than a million';
  const times = Math.exp(lnE);
  return times < 9.95 ? times.toFixed(1) : formatCount(Math.round(times));
}

export function describeComparison(
  { better, than, margin, evidence, threshold }: Comparison,
  spec: RuleSpec,
): string {
  const claim =
    margin === 0
      ? `${better} is better than ${than}`
      : `${better} is at most ${formatMargin(-margin, spec)} worse than ${than}`;
  return `that ${claim}: evidence ${formatEvidence(evidence)} of ${formatEvidence(threshold)} needed`;
}

/** A difference of efficacies: `1.0 percentage points`, or an amount per request. */
export function formatMargin(margin: number, { volume, cap = 1, unit }: RuleSpec): string {
  return volume === 'amount' || volume === 'clicks'
    ? `${(margin * cap).toFixed(2)} per ${unit}`
    : `${trimmed(margin * 100)} percentage point${trimmed(margin * 100) === '1' ? '' : 's'}`;
}

/** By how much a candidate may be worse than the baseline and be promoted, where the plan allows it. */
export function inferiorityAllowed(
  spec: RuleSpec,
): { readonly control: string; readonly margin: string } | undefined {
  const margin = spec.rule === 'anytime' ? (spec.nonInferiority ?? 0) : 0;
  const control = controlOf(spec);
  return margin > 0 && control !== undefined ? { control, margin: formatMargin(margin, spec) } : undefined;
}

/** `2.0-a wins over 2.0-b`; where it need not beat the baseline, what is shown of it instead. */
export function describeWinner(winner: string, against: readonly string[], spec: RuleSpec): string {
  const allowed = inferiorityAllowed(spec);
  const beaten = against.filter((version) => version !== allowed?.control);
  if (allowed === undefined || beaten.length === against.length)
    return `${winner} wins over ${listed(against)}`;
  const over = beaten.length === 0 ? '' : ` over ${listed(beaten)}`;
  return `${winner} wins${over}: it is not worse than ${allowed.control} by more than ${allowed.margin}`;
}

/** No difference worth acting on; the baseline that a candidate need not beat is compared by the margin alone. */
export function describeTie(kept: string, against: readonly string[], spec: RuleSpec): string {
  const allowed = inferiorityAllowed(spec);
  const isApart = allowed !== undefined && kept !== allowed.control && against.includes(allowed.control);
  const among = [kept, ...against].filter((version) => !isApart || version !== allowed.control);
  const epsilon = spec.rule === 'anytime' ? ` of ${formatMargin(spec.epsilon, spec)}` : '';
  const also = isApart ? `, which is not worse than ${allowed.control} by more than ${allowed.margin}` : '';
  if (among.length === 1) return `${kept} is kept: what it tied with was pulled${also}`;
  return `Between ${listed(among)} there is no difference worth acting on${epsilon}; ${kept} is kept${also}`;
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** `2.0-a: 812 of 1,010 = 80.4 % (77.8 % to 82.7 %)`. */
export function describeNumbers(arm: ArmNumbers, spec: RuleSpec, moreDecimals = 1): string {
  const { rule, volume, comparison, unit } = spec;
  const name = arm.role === 'baseline' ? `${arm.version} (baseline)` : arm.version;
  const out = arm.out === undefined ? '' : `, ${arm.out.why}: ${arm.out.reason}`;
  if (arm.efficacy === null) return `${name}: nothing allocated${out}`;
  const kind = volume === 'clicks' ? 'amount' : volume;
  const shown = (value: number): string => formatEfficacy(value, kind, { moreDecimals, unit });
  const range = arm.interval === null ? '' : ` (${shown(arm.interval[0])} to ${shown(arm.interval[1])})`;
  // An average over groups need not be the one number divided by the other.
  const equals = comparison === 'stratified' && rule !== 'max-efficacy' ? ', by groups ' : ' = ';
  const uncapped =
    comparesCapped(spec) && arm.uncapped !== undefined ? `, uncapped ${formatVolume(arm.uncapped)}` : '';
  return `${name}: ${formatVolume(arm.volume)} of ${formatCount(arm.units)}${equals}${shown(arm.efficacy)}${range}${uncapped}${out}`;
}

function comparesCapped(spec: RuleSpec): boolean {
  return isBounded(spec) && !isUnbounded(spec) && spec.cap !== undefined;
}

/** Decimals beyond the usual ones: of the greatest ratio, as many as it takes to see which is greater. */
export function decimalsFor(arms: readonly ArmNumbers[], { rule, volume }: RuleSpec): number {
  if (rule !== 'max-efficacy') return 1;
  const kind = volume === 'clicks' ? 'amount' : volume;
  const known = arms.flatMap(({ volume: sum, units, efficacy }) =>
    efficacy === null ? [] : [{ volume: sum, allocated: units, efficacy }],
  );
  return decimalsToTell(known, kind, 1);
}

export function formatVolume(volume: number): string {
  return Number.isInteger(volume) ? formatCount(volume) : grouped(volume, 2);
}

export function describeMissing(missing: Missing | null, { unit }: RuleSpec): string | undefined {
  if (missing === null || missing.units === null || missing.units === 0) return undefined;
  const time = missing.ms === null ? '' : `, ${formatDuration(missing.ms)} at the present traffic`;
  return `If it goes on like this about ${formatCount(Math.ceil(missing.units))} ${unit}s more are needed${time}`;
}

export function joined(clauses: readonly (string | undefined)[]): string {
  return clauses.flatMap((clause) => (clause === undefined || clause === '' ? [] : [`${clause}.`])).join(' ');
}

export function listed(versions: readonly string[]): string {
  return allOf(versions);
}

export const OBSERVATIONAL =
  'Versions were given to different groups of customers. The difference may come from the groups, not the versions; no error rate can be guaranteed.';
export const SYSTEMATIC =
  'Customers were dealt by a fixed rule such as the last digit: the error rate holds as far as that digit says nothing about the customer.';
export const BEST_OF_CANDIDATES =
  'No baseline share was kept: this is the best of the candidates, not a claim that it is better than today.';
/** Where versions were pulled from the comparison. */
export function askedAnew(pulled: readonly string[]): string {
  return `Since ${listed(pulled)} ${pulled.length === 1 ? 'was' : 'were'} pulled, the question is which of those that are left is best; the error rate is that of this question by itself.`;
}

const NO_ERROR_RATE = 'The greatest ratio wins by this rule; it promises no error rate.';
const REQUESTS_DEPEND =
  'Requests were counted, not accounts: where the same customers come again, their requests depend on each other, and the error rate does not hold.';
const INTERVALS_DEPEND =
  'Requests were counted, not accounts: where the same customers come again, their requests depend on each other, and the intervals are too narrow.';

/** What the rule promises, and what takes that away. */
export function promiseNotes(spec: RuleSpec): readonly string[] {
  const isByRequest = spec.unit === 'request';
  if (spec.rule !== 'max-efficacy') return isByRequest ? [REQUESTS_DEPEND] : [];
  return [NO_ERROR_RATE, ...(isByRequest && !isUnbounded(spec) ? [INTERVALS_DEPEND] : [])];
}

/** Where outcomes are capped before they are compared. */
export function cappedNotes(spec: RuleSpec): readonly string[] {
  const { cap, unit } = spec;
  if (!comparesCapped(spec) || cap === undefined) return [];
  return [`What is compared is capped at ${cap} per ${unit}; the uncapped totals are shown beside it.`];
}

/** Why no interval is shown. */
export function describeBound(spec: RuleSpec): string | undefined {
  if (!isUnbounded(spec)) return undefined;
  const what = spec.volume === 'clicks' ? 'the clicks' : 'the amount';
  const one = spec.unit === 'account' ? 'an account' : 'a request';
  // A run that began before this rule compared what was capped goes on as it began, whatever cap its plan says.
  return spec.cap === undefined
    ? `No interval can be said: nothing bounds ${what} of ${one}, decision.cap would`
    : `No interval can be said: nothing bounds ${what} of ${one}, for this upgrade began before decision.cap did`;
}

export const SOURCE_OF_ACCOUNTS =
  'Accounts are the unit (decision.unit), so that measure.source has to count accounts, each once. Where its queries count requests, say decision.unit: request: else the check of the split will alarm.';
export const ACCOUNTS_AT_SEVERAL =
  'Several gateways count accounts, and nothing keeps an account from entering at each that it comes by: such units depend on each other, and the error rate does not hold. Set decision.accountsAt: any-gateway has each count its part, one-gateway says that a balancer keeps each account on one.';

/** Why nobody is left to compare a version with. */
export function whyAlone({ arms }: RuleSpec, { pulled, dropped }: RuleState): string {
  if (arms.length === 1) return 'no other version competes';
  const isSome = (of: object): boolean => arms.some(({ version }) => Object.hasOwn(of, version));
  if (!isSome(pulled)) return 'all others are beaten';
  return isSome(dropped) ? 'all others are beaten or were pulled' : 'all others were pulled';
}
