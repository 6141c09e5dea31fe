import type { Block } from '../block.ts';
import { controlOf, type AnytimeSpec } from '../rule-spec.ts';
import { counted, inPlay, survivorsOf, type Decided, type Dropped, type RuleState } from '../rule-state.ts';
import { comparableOf } from '../strata.ts';
import { candidatesLeft } from './shares.ts';
import { evidenceIn, nextEvidence, type Evidence } from './pair-evidence.ts';

/**
 * The rule `anytime`: looks after every block and promises P(a version is promoted that is more than ε worse than
 * another) ≤ δ, and, beside a control arm, P(a candidate is promoted that is not better than it, or is inferior to it by
 * more than the margin) ≤ δ.
 *
 * Why. Let b be the best of K arms, and call an arm bad if it is more than ε worse than b. For each x let m(x) be −ε if
 * x is bad and 0 if not: E[x,b] with margin m(x) is a test supermartingale that starts at 1, and so is the mean M of
 * these over the K−1 others. With one stake for all margins E grows as its margin falls, factor by factor. Hence, if b
 * is dropped (mean of E⁰[x,b] ≥ 1/δ), or a bad arm a is chosen with b still there (mean of E^{−ε}[a,b] and of
 * E⁰[x,b] for the other x ≥ 1/δ), then M ≥ 1/δ; and P(M ever ≥ 1/δ) ≤ δ. The mean is never slower than to ask one pair
 * for (K−1)/δ. Against the control the pair is asked, for (K−1)/δ: a candidate has to show by itself that it is better;
 * so the control is never dropped, and where it is the best these pairs are all that can go wrong. To keep the control
 * while a candidate is more than ε better has a chance of at most δ + δ/(K−1), for the same reasons. Arms that were
 * dropped keep what they had shown.
 *
 * A pulled arm is left out, which makes sums smaller only, and K counts it. Who was beaten by it takes part again: the
 * question is then which of the s arms that are left is best. Its sums begin at (s−1)/(K−1), so that the answer has an
 * error ≤ δ(s−1)/(K−1) of its own, and all answers of a trial together one ≤ δK/2, whenever and for whatever reason arms
 * are pulled.
 */
export function observeAnytime(spec: AnytimeSpec, before: RuleState, block: Block): RuleState {
  const pairs = nextEvidence(spec, before, block);
  return lookAnytime(spec, before, { ...counted(before, block), pairs });
}

/** A look at what is known, by a clock that has gone on since `before`. */
export function lookAnytime(spec: AnytimeSpec, before: RuleState, state: RuleState): RuleState {
  if (state.decided !== null || state.alarm !== null) return state;
  // A segment policy compares groups of customers: nothing is concluded from it, not even that one is worse.
  if (spec.comparison === 'segment') return state;
  if (spec.aaTest === true) return isDifferent(spec, evidenceIn(spec, state)) ? withAlarm(state) : state;
  return state.elapsedMs >= nextLookMs(spec, before.elapsedMs) ? concluded(spec, state) : state;
}

/** With all that the evidence of the moment shows: who is beaten, and who is chosen. */
export function concluded(spec: AnytimeSpec, state: RuleState): RuleState {
  const evidence = evidenceIn(spec, state);
  const dropped = { ...state.dropped };
  // The control keeps its traffic to the end: whoever wins has to beat it by itself.
  for (const b of candidatesLeft(spec, state)) {
    const found = beaten(spec, evidence, state, b);
    if (found !== undefined) dropped[b] = { atMs: state.elapsedMs, ...found };
  }
  const next = { ...state, dropped };
  return { ...next, decided: decide(spec, next, evidence) };
}

/** Where the routes stand when versions are found to be pulled. */
export interface RoutesNow {
  readonly tableVersion: number;
  /** Versions that were dropped, and whose traffic the routes have taken away. */
  readonly out: readonly string[];
}

/**
 * With arms pulled: who is not shown to be worse than one of those that are left takes part again. Where the routes had
 * taken it out, all that it was assigned by now is of before, and its windows were cut short; where they had not, none
 * were.
 */
export function restored(spec: AnytimeSpec, state: RuleState, routes?: RoutesNow): RuleState {
  const evidence = evidenceIn(spec, state);
  const dropped: Record<string, Dropped> = {};
  const returned = { ...state.returned };
  for (const [version, before] of Object.entries(state.dropped)) {
    const found = Object.hasOwn(state.pulled, version) ? before : beaten(spec, evidence, state, version);
    if (found === undefined) {
      const isOut = routes?.out.includes(version) === true;
      // Not out now: it may have been before, and what it was assigned by then can still come.
      const tableVersion = isOut ? routes.tableVersion : state.returned?.[version]?.tableVersion;
      returned[version] = { atMs: state.elapsedMs, ...(tableVersion === undefined ? {} : { tableVersion }) };
    } else dropped[version] = { atMs: before.atMs, ...found };
  }
  return { ...state, dropped, ...(Object.keys(returned).length === 0 ? {} : { returned }) };
}

/** The same version on both sides: evidence of a difference speaks against the measuring. */
function isDifferent(spec: AnytimeSpec, evidence: Evidence): boolean {
  const versions = spec.arms.map(({ version }) => version);
  return versions.some((a) => versions.some((b) => a !== b && evidence(a, b, 0) >= thresholdOf(spec)));
}

function withAlarm(state: RuleState): RuleState {
  return { ...state, alarm: { reason: 'aaDifference', atMs: state.elapsedMs } };
}

/**
 * From when on a look may decide, where the last one was at `elapsedMs`: from the minimum duration on; with a period only
 * at the first look after each end of it, counted from the start.
 */
export function nextLookMs({ minDurationMs = 0, everyFullMs }: AnytimeSpec, elapsedMs: number): number {
  if (everyFullMs === undefined) return minDurationMs;
  const next = Math.max(Math.floor(elapsedMs / everyFullMs) + 1, Math.ceil(minDurationMs / everyFullMs));
  return next * everyFullMs;
}

/** ln((K−1)/δ): what a pair has to show alone. */
export function thresholdOf({ arms, delta }: Pick<AnytimeSpec, 'arms' | 'delta'>): number {
  return Math.log(Math.max(1, arms.length - 1) / delta);
}

export interface Shown {
  readonly lnE: number;
  readonly threshold: number;
}

/** Evidence that `b` is not the best; with `a`, that `a` is at most ε worse than `b`. */
export function shownAgainst(
  spec: AnytimeSpec,
  { evidence, pulled }: { evidence: Evidence; pulled: RuleState['pulled'] },
  b: string,
  a?: string,
): Shown {
  // What pulled arms have shown is true, but nobody can have them.
  const logs = spec.arms
    .filter(({ version }) => version !== b && !Object.hasOwn(pulled, version))
    .map(({ version }) => evidence(version, b, version === a ? -spec.epsilon : 0));
  const greatest = Math.max(...logs);
  const sum = logs.reduce((total, lnE) => total + Math.exp(lnE - greatest), 0);
  const lnE = greatest === -Infinity ? -Infinity : greatest + Math.log(sum);
  return { lnE, threshold: thresholdOf(spec) };
}

function beaten(
  spec: AnytimeSpec,
  evidence: Evidence,
  { pulled }: RuleState,
  b: string,
): Omit<Dropped, 'atMs'> | undefined {
  const { lnE, threshold } = shownAgainst(spec, { evidence, pulled }, b);
  if (lnE < threshold) return undefined;
  const others = spec.arms
    .map(({ version }) => version)
    .filter((version) => version !== b && !Object.hasOwn(pulled, version));
  const [first] = others;
  if (first === undefined) return undefined;
  const by = others.reduce((x, y) => (evidence(y, b, 0) > evidence(x, b, 0) ? y : x), first);
  return { by, lnE };
}

/** What a candidate has to show against the baseline beside the other arms; 0 is strictly better. */
export function marginToControl({ nonInferiority = 0 }: AnytimeSpec): number {
  return -nonInferiority;
}

function decide(spec: AnytimeSpec, state: RuleState, evidence: Evidence): Decided | null {
  // Alone, a version has nothing to show, and that others were pulled is no evidence for it: the end of the trial decides.
  if (inPlay(spec, state).length < 2) return null;
  const control = controlOf(spec);
  const candidates = candidatesLeft(spec, state);
  const threshold = thresholdOf(spec);
  const atMs = state.elapsedMs;
  if (candidates.length === 0) {
    return control === undefined ? null : { kind: 'keepBaseline', version: control, atMs };
  }
  const isShown = (a: string, b: string): boolean => {
    const shown = shownAgainst(spec, { evidence, pulled: state.pulled }, b, a);
    return shown.lnE >= shown.threshold;
  };
  const isClear = (a: string): boolean =>
    candidates.every((b) => b === a || isShown(a, b)) &&
    (control === undefined || evidence(a, control, marginToControl(spec)) >= threshold);
  // To stay is no promotion: pair by pair, as the control need not be in front.
  const isEnough = (kept: string): boolean =>
    candidates.every((b) => evidence(kept, b, -spec.epsilon) >= threshold);
  const fit = candidates.filter(isClear);
  // Ties keep the baseline; among candidates the one that the plan names first.
  const [first] = fit;
  if (control !== undefined && isEnough(control) && !isSpared(spec, first)) {
    return { kind: leadsBy(spec, state, control) ? 'keepBaseline' : 'equivalent', version: control, atMs };
  }
  if (first === undefined) return null;
  const clear = fit.find((a) => leadsBy(spec, state, a));
  return clear === undefined
    ? { kind: 'equivalent', version: first, atMs }
    : { kind: 'winner', version: clear, atMs };
}

/** Where a candidate need not be better than the baseline, it is preferred as soon as that is shown. */
function isSpared({ nonInferiority }: AnytimeSpec, candidate: string | undefined): boolean {
  return nonInferiority !== undefined && candidate !== undefined;
}

/**
 * Whether the version in question is ahead of every arm that is left by as much as is worth acting on. This names the
 * verdict and promises nothing: that it is at most ε worse than any is proved either way.
 */
function leadsBy(spec: AnytimeSpec, state: RuleState, version: string): boolean {
  const totals = comparableOf(state);
  const rate = (one: string): number => {
    const { n, sum } = totals[one] ?? { n: 0, sum: 0 };
    return n === 0 ? 0 : sum / n;
  };
  const control = controlOf(spec);
  return survivorsOf(spec, state).every(
    (other) =>
      other === version ||
      (other === control && spec.nonInferiority !== undefined) ||
      rate(version) - rate(other) >= spec.epsilon,
  );
}
