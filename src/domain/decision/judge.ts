import type { Verdict } from './decision.ts';
import { splitInsideGroups } from './group-words.ts';
import {
  controlOf,
  type AnytimeSpec,
  type FixedSampleSpec,
  type MaxEfficacySpec,
  type RuleSpec,
} from './rule-spec.ts';
import { describeUntil, heldBack, type HeldBack } from './held-back.ts';
import { inPlay, survivorsOf, totalsOf, type RuleState } from './rule-state.ts';
import { missingFor } from './missing.ts';
import { notesOf } from './notes.ts';
import { numbersOf } from './rule-numbers.ts';
import type { Comparison, InconclusiveReason, RuleVerdict } from './rule-verdict.ts';
import {
  decimalsFor,
  describeBound,
  describeComparison,
  describeMissing,
  describeNumbers,
  describeTie,
  describeWinner,
  joined,
  listed,
  whyAlone,
} from './rule-words.ts';
import { comparisonsOf } from './rules/anytime-outlook.ts';
import { comparisonsAtLook, isComplete } from './rules/fixed-sample.ts';
import { assessTotals } from './rules/max-efficacy.ts';
import { leaderOf } from './rules/shares.ts';
import { formatCount } from './sentence.ts';
import { splitAlarm } from './split-check.ts';

type Distributed<T> = T extends unknown
  ? Omit<T, 'rule' | 'arms' | 'comparisons' | 'missing' | 'sentence' | 'notes'>
  : never;
type Outcome = Distributed<RuleVerdict> & { readonly clause: string };

/**
 * What the evidence says. `isOver`: the trial ends now, whatever it has shown. `remarks`: what else is to be known of the
 * data, added to the notes. The same state gives the same verdict, word for word (invariant 8).
 */
export function judge(
  spec: RuleSpec,
  state: RuleState,
  isOver = false,
  remarks: readonly string[] = [],
): RuleVerdict {
  const arms = numbersOf(spec, state);
  const comparisons = comparisonsFor(spec, state);
  const { clause, ...outcome } = outcomeOf(spec, state, isOver);
  const isOpen = outcome.kind === 'collecting' || outcome.kind === 'inconclusive';
  const held = isOpen ? heldBack(spec, state) : undefined;
  const missing = isOpen ? missingFor(spec, state, held) : null;
  const notes = [...notesOf(spec, state), ...remarks];
  const decimals = decimalsFor(arms, spec);
  const sentence = joined([
    clause,
    ...(held === undefined ? [] : heldClauses(spec, state, held, outcome.kind === 'inconclusive')),
    ...comparisons.map((comparison) => describeComparison(comparison, spec)).map(capitalised),
    arms.map((arm) => describeNumbers(arm, spec, decimals)).join('; '),
    describeMissing(missing, spec),
    describeBound(spec),
  ]);
  return { ...outcome, rule: spec.rule, arms, comparisons, missing, sentence, notes };
}

/** Whether the rule waits for more; what else it says during a trial ends it. */
export function isCollecting(spec: RuleSpec, state: RuleState): boolean {
  return outcomeOf(spec, state, false).kind === 'collecting';
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function outcomeOf(spec: RuleSpec, state: RuleState, isOver: boolean): Outcome {
  const untrusted = untrustedData(spec, state);
  const lost = noneLeft(spec, state);
  if (lost !== undefined) return lost;
  if (untrusted !== undefined) return untrusted;
  switch (spec.rule) {
    case 'anytime':
      return anytimeOutcome(spec, state, isOver);
    case 'max-efficacy':
      return greatestOutcome(spec, state, isOver);
    case 'fixed-sample':
      return fixedOutcome(spec, state, isOver);
  }
}

function untrustedData(spec: RuleSpec, { alarm, sampleRatio }: RuleState): Outcome | undefined {
  if (alarm === null) return undefined;
  const { reason } = alarm;
  if (reason === 'aaDifference') {
    const clause =
      'The same version on both sides differs: something in the measuring is wrong, nothing is decided';
    return { kind: 'untrustedData', reason, clause };
  }
  const split = Object.entries(sampleRatio.seen).map(
    ([version, n]) =>
      `${version} got ${formatCount(n)} of ${formatCount(Math.round(sampleRatio.expected[version] ?? 0))} expected`,
  );
  const clause = `${splitAlarm(spec)}, nothing is decided: ${listed(split)}`;
  return { kind: 'untrustedData', reason, clause };
}

function noneLeft(spec: RuleSpec, state: RuleState): Outcome | undefined {
  const candidates = spec.arms.filter(({ role }) => role === 'candidate');
  if (candidates.every(({ version }) => Object.hasOwn(state.pulled, version))) {
    return { kind: 'pulled', clause: 'No candidate is left: every one was pulled' };
  }
  return undefined;
}

function anytimeOutcome(spec: AnytimeSpec, state: RuleState, isOver: boolean): Outcome {
  const { decided } = state;
  const isLate = isOver || (spec.deadlineMs !== undefined && state.elapsedMs >= spec.deadlineMs);
  if (decided !== null) return decidedOutcome(spec, state, decided);
  if (!isLate) return { kind: 'collecting', clause: collectingClause(spec, state) };
  const empty = withoutData(spec, state);
  if (empty.length > 0) {
    return inconclusive(spec, state, 'noData', `No data: ${listed(empty)} got no allocated traffic`);
  }
  if (spec.aaTest === true) {
    const among = inPlay(spec, state);
    if (among.length < 2) {
      const gone = spec.arms.map(({ version }) => version).filter((version) => !among.includes(version));
      return inconclusive(spec, state, 'noData', `Nothing is left to compare: ${listed(gone)} was pulled`);
    }
    const keep = controlOf(spec) ?? among[0] ?? '';
    return {
      kind: 'equivalent',
      among,
      keep,
      clause: `The measuring shows no difference between ${listed(among)}, which run the same version: it can be trusted as far as this trial tells, and nothing is promoted`,
    };
  }
  // Also of one candidate alone: who got it did not get it by chance.
  if (spec.comparison === 'segment') return observational(spec, state);
  const [only, ...more] = inPlay(spec, state);
  if (only !== undefined && more.length === 0) {
    return { kind: 'winner', winner: only, clause: `${only} wins: ${whyAlone(spec, state)}` };
  }
  const isShown = (heldBack(spec, state)?.shown.decided ?? null) !== null;
  const over = `The time is over and nothing is ${isShown ? 'decided' : 'shown'}; the baseline stays`;
  return inconclusive(spec, state, 'deadline', over);
}

/** What is shown already, and when it is decided. */
function heldClauses(
  spec: RuleSpec,
  { dropped }: RuleState,
  { until, shown }: HeldBack,
  isOver: boolean,
): readonly string[] {
  if (spec.rule !== 'anytime') return [];
  const end = describeUntil(until);
  if (shown.decided !== null) {
    const { clause } = decidedOutcome(spec, shown, shown.decided);
    const when = isOver ? 'It would be decided' : 'It is decided';
    const how = isOver ? '; extend the trial to wait for it' : ', by the evidence of then';
    return [`Shown so far: ${clause}`, `${when} at ${end}${how}`];
  }
  const beaten = Object.keys(shown.dropped).filter((version) => !Object.hasOwn(dropped, version));
  return [
    ...(beaten.length === 0
      ? []
      : [`Shown so far: ${listed(beaten)} ${beaten.length === 1 ? 'is' : 'are'} beaten`]),
    ...(isOver ? [] : [`Nothing is decided before ${end}`]),
  ];
}

function collectingClause(spec: AnytimeSpec, state: RuleState): string {
  const leader = leaderOf(spec, state);
  const ahead = leader === undefined ? '' : `, ${leader} is in front`;
  const left = survivorsOf(spec, state);
  const back = Object.keys(state.returned ?? {}).filter((version) => left.includes(version));
  const again =
    back.length === 0 ? '' : `; what had beaten ${listed(back)} was pulled, so that it is tried on`;
  const [only, ...more] = inPlay(spec, state);
  const isLeft =
    only === undefined || more.length > 0 || spec.comparison === 'segment' || spec.aaTest === true;
  const alone = isLeft ? '' : `; ${whyAlone(spec, state)}, so that the end of the trial decides`;
  return `The trial is collecting${ahead}${again}${alone}`;
}

function decidedOutcome(
  spec: AnytimeSpec | FixedSampleSpec,
  state: RuleState,
  decided: NonNullable<RuleState['decided']>,
): Outcome {
  const { version } = decided;
  const against = survivorsOf(spec, state).filter((one) => one !== version);
  switch (decided.kind) {
    case 'winner': {
      const clause =
        against.length === 0
          ? `${version} wins: ${whyAlone(spec, state)}`
          : describeWinner(version, against, spec);
      return { kind: 'winner', winner: version, clause };
    }
    case 'keepBaseline':
      return {
        kind: 'keepBaseline',
        baseline: version,
        clause: `No candidate is better than the baseline ${version}`,
      };
    case 'equivalent':
      return {
        kind: 'equivalent',
        among: [version, ...against],
        keep: version,
        clause: describeTie(version, against, spec),
      };
  }
}

function inconclusive(spec: RuleSpec, state: RuleState, reason: InconclusiveReason, clause: string): Outcome {
  return { kind: 'inconclusive', reason, leader: leaderOf(spec, state) ?? null, clause };
}

function observational(spec: RuleSpec, state: RuleState): Outcome {
  const clause = `No winner: the comparison is observational. ${splitInsideGroups(spec)}`;
  return inconclusive(spec, state, 'observational', clause.replace(/\.$/, ''));
}

function withoutData(spec: RuleSpec, state: RuleState): readonly string[] {
  const totals = totalsOf(state);
  return survivorsOf(spec, state).filter((version) => (totals[version]?.n ?? 0) === 0);
}

function greatestOutcome(spec: MaxEfficacySpec, state: RuleState, isOver: boolean): Outcome {
  const verdict = assessTotals(spec, state, isOver ? 'end' : 'during');
  const clause = verdict.sentence.split('. ')[0] ?? '';
  if (spec.comparison === 'segment' && isConclusion(verdict)) return observational(spec, state);
  switch (verdict.kind) {
    case 'winner':
      return { kind: 'winner', winner: verdict.winner, clause };
    case 'inconclusive':
      return inconclusive(spec, state, verdict.reason, clause);
    case 'keepBaseline':
      return { kind: 'keepBaseline', baseline: controlOf(spec) ?? '', clause };
    case 'collecting':
    case 'pulled':
      return { kind: verdict.kind, clause };
  }
}

/** Whether it says that versions differ, or that they do not. */
function isConclusion(verdict: Verdict): boolean {
  const { kind } = verdict;
  return (
    kind === 'winner' || kind === 'keepBaseline' || (kind === 'inconclusive' && verdict.reason === 'tie')
  );
}

function fixedOutcome(spec: FixedSampleSpec, state: RuleState, isOver: boolean): Outcome {
  if (spec.comparison === 'segment' && (isOver || isComplete(spec, state))) {
    return observational(spec, state);
  }
  if (state.decided !== null) return decidedOutcome(spec, state, state.decided);
  if (isComplete(spec, state)) {
    const isNamed = Object.keys(state.pulled).length > 0;
    const clause = isNamed
      ? 'The one look at the planned units was taken and names nobody who is left'
      : 'The planned units are there and show no difference';
    return inconclusive(spec, state, 'notSignificant', clause);
  }
  const isLate = isOver || (spec.deadlineMs !== undefined && state.elapsedMs >= spec.deadlineMs);
  if (isLate) {
    return inconclusive(
      spec,
      state,
      'tooFewSamples',
      `Too few samples: ${formatCount(spec.unitsPerArm)} of each version were planned`,
    );
  }
  return {
    kind: 'collecting',
    clause: `The trial is collecting until each version has ${formatCount(spec.unitsPerArm)} ${spec.unit}s; there is one look`,
  };
}

function comparisonsFor(spec: RuleSpec, state: RuleState): readonly Comparison[] {
  switch (spec.rule) {
    case 'anytime':
      return comparisonsOf(spec, state);
    case 'max-efficacy':
      return [];
    case 'fixed-sample':
      return comparisonsAtLook(spec, state);
  }
}
