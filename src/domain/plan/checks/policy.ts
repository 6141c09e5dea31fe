import type { GroupTarget } from '../../policy/policy.ts';
import { versionsOf, type PlanDraft, type PolicyDraft } from '../draft.ts';
import { anyOf, planProblem, type FieldPath, type PlanProblem } from '../problem.ts';
import { unknownVersion } from './versions.ts';

/** The traffic policy: every key has exactly one home, and every candidate gets traffic. */

const POLICY = ['traffic', 'policy'];
const TAILS = { odd: [1, 3, 5, 7, 9], even: [0, 2, 4, 6, 8] } as const;
const ALL_DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

type TailPolicy = Extract<PolicyDraft, { kind: 'tail' }>;
type RangePolicy = Extract<PolicyDraft, { kind: 'range' }>;
type ValuesPolicy = Extract<PolicyDraft, { kind: 'values' }>;
type HashPolicy = Extract<PolicyDraft, { kind: 'hash' }>;

/** Overlaps, and keys without a home. */
export function policyIsTotal({ traffic }: PlanDraft): PlanProblem[] {
  const policy = traffic?.policy;
  if (policy === undefined) return [];
  switch (policy.kind) {
    case 'tail':
      return checkTails(policy);
    case 'range':
      return checkRanges(policy);
    case 'values':
      return checkValues(policy);
    case 'hash':
      return checkWeights(policy);
  }
}

function checkTails(policy: TailPolicy): PlanProblem[] {
  const overlaps = claimEach(
    policy.rules.map(({ tail }, index) => ({
      path: rulePath(index, 'tail'),
      values: typeof tail === 'string' ? TAILS[tail] : tail,
      shown: tail,
    })),
    'digit',
  );
  const missing = uncoveredDigits(policy);
  if (missing.length === 0 || policy.otherwise !== undefined) return overlaps;
  return [...overlaps, homeless(`keys that end in ${anyOf(missing.map(String))}`)];
}

function uncoveredDigits({ rules }: TailPolicy): number[] {
  const covered = new Set<number>(
    rules.flatMap(({ tail }) => (typeof tail === 'string' ? TAILS[tail] : tail)),
  );
  return ALL_DIGITS.filter((digit) => !covered.has(digit));
}

interface Range {
  readonly index: number;
  readonly from: number;
  readonly below: number;
}

function rangesOf({ rules }: RangePolicy): Range[] {
  return rules
    .map(({ from = -Infinity, below = Infinity }, index) => ({ index, from, below }))
    .sort((a, b) => a.from - b.from || a.index - b.index);
}

function checkRanges(policy: RangePolicy): PlanProblem[] {
  const ranges = rangesOf(policy);
  const empty = ranges.filter((range) => range.from >= range.below);
  const real = ranges.filter((range) => range.from < range.below);
  const problems = [
    ...empty.map(({ index, from, below }) => {
      const message = `must be more than from, ${from}: the range is empty`;
      return planProblem({ path: rulePath(index, 'below'), value: below, message });
    }),
    ...overlapsOf(real),
  ];
  const gaps = gapsOf(real);
  if (gaps.length === 0 || empty.length > 0 || policy.otherwise !== undefined) return problems;
  return [...problems, homeless(`keys ${anyOf(gaps)}`)];
}

function overlapsOf(ranges: readonly Range[]): PlanProblem[] {
  return ranges.flatMap((range, position) => {
    const before = ranges.slice(0, position).find((other) => range.from < other.below);
    if (before === undefined) return [];
    const message = `must not overlap rules[${before.index}], ${rangeName(before)}`;
    return [planProblem({ path: rulePath(range.index), value: rangeName(range), message })];
  });
}

/** What no range covers: `below 18`, `from 35 to below 60`, `from 60`. */
function gapsOf(ranges: readonly Range[]): string[] {
  const gaps: string[] = [];
  let reached = -Infinity;
  for (const { from, below } of [...ranges, { from: Infinity, below: Infinity }]) {
    if (from > reached) gaps.push(rangeName({ from: reached, below: from }));
    reached = Math.max(reached, below);
  }
  return gaps;
}

function rangeName({ from, below }: Pick<Range, 'from' | 'below'>): string {
  if (from === -Infinity) return below === Infinity ? 'of any number' : `below ${below}`;
  return below === Infinity ? `from ${from}` : `from ${from} to below ${below}`;
}

function checkValues(policy: ValuesPolicy): PlanProblem[] {
  const overlaps = claimEach(
    policy.rules.map(({ values }, index) => ({ path: rulePath(index, 'values'), values, shown: values })),
    'value',
  );
  return policy.otherwise === undefined ? [...overlaps, homeless('keys that are not listed')] : overlaps;
}

function checkWeights({ weights }: HashPolicy): PlanProblem[] {
  if (Object.values(weights).some((weight) => weight > 0)) return [];
  const message = 'must have a weight above 0 for some version';
  return [planProblem({ path: [...POLICY, 'weights'], value: weights, message })];
}

interface Claim {
  readonly path: FieldPath;
  readonly values: readonly (string | number)[];
  readonly shown: unknown;
}

/** A problem for each digit or value that is claimed a second time. */
function claimEach(claims: readonly Claim[], what: string): PlanProblem[] {
  const holder = new Map<string | number, number>();
  return claims.flatMap(({ path, values, shown }, index) =>
    values.flatMap((value) => {
      const first = holder.get(value);
      holder.set(value, first ?? index);
      if (first === undefined) return [];
      const where = first === index ? 'listed twice here' : `in rules[${first}] already`;
      return [planProblem({ path, value: shown, message: `must not overlap: ${what} ${value} is ${where}` })];
    }),
  );
}

function homeless(keys: string): PlanProblem {
  const message = `must be a version, because no rule says where ${keys} go`;
  return planProblem({ path: [...POLICY, 'otherwise'], value: undefined, message });
}

function rulePath(index: number, ...rest: string[]): FieldPath {
  return [...POLICY, 'rules', index, ...rest];
}

export function policyVersionsExist(plan: PlanDraft): PlanProblem[] {
  const policy = plan.traffic?.policy;
  const versions = versionsOf(plan);
  if (policy === undefined || versions === undefined) return [];
  const known = [versions.baseline, ...versions.candidates];
  return targetsOf(policy).flatMap(({ path, version }) => unknownVersion({ path, value: version, known }));
}

/** A candidate that no key leads to would end the trial without a decision. */
export function candidatesGetTraffic(plan: PlanDraft): PlanProblem[] {
  const policy = plan.traffic?.policy;
  const versions = versionsOf(plan);
  if (policy === undefined || versions === undefined) return [];
  const served = new Set(targetsOf(policy).flatMap(({ version, isReached }) => (isReached ? [version] : [])));
  return versions.candidates.flatMap((version, index) => {
    if (served.has(version)) return [];
    const message = 'must get traffic: nothing in traffic.policy leads to it';
    return [planProblem({ path: ['candidates', index, 'version'], value: version, message })];
  });
}

interface Target {
  readonly path: FieldPath;
  readonly version: string;
  /** Whether some key leads there. */
  readonly isReached: boolean;
}

function targetsOf(policy: PolicyDraft): Target[] {
  if (policy.kind === 'hash') return targetsIn([...POLICY, 'weights'], policy.weights, true);
  const rules = policy.rules.flatMap(({ to }, index) => targetsIn(rulePath(index, 'to'), to, true));
  if (policy.otherwise === undefined) return rules;
  const isReached =
    policy.kind === 'values' ||
    (policy.kind === 'tail' ? uncoveredDigits(policy).length > 0 : gapsOf(rangesOf(policy)).length > 0);
  return [...rules, ...targetsIn([...POLICY, 'otherwise'], policy.otherwise, isReached)];
}

function targetsIn(path: FieldPath, target: GroupTarget, isReached: boolean): Target[] {
  if (typeof target === 'string') return [{ path, version: target, isReached }];
  return Object.entries(target).map(([version, weight]) => ({
    path: [...path, version],
    version,
    isReached: isReached && weight > 0,
  }));
}
