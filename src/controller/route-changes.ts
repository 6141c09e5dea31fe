import { isDeepStrictEqual } from 'node:util';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import { applyTransitions, type Transition } from '../domain/routes/transitions.ts';
import type { Change, ServiceState } from './service-state.ts';

type Version = { version: number };

/** Prepares a table and reserves its version; it is not in effect. */
export function stageRoutes(state: ServiceState, transitions: readonly Transition[]): Change<Version> {
  const table = changedTable(state, transitions);
  return {
    state: {
      ...state,
      staged: { transitions, base: state.active.version, table, inEffect: false },
      lastVersion: Math.max(state.lastVersion, table.version),
    },
    answer: { version: table.version },
  };
}

/** Makes the given transitions active, or else what was staged last. */
export function activateRoutes(
  state: ServiceState,
  transitions: readonly Transition[] | undefined,
): Change<Version> {
  return transitions === undefined
    ? activateStaged(state)
    : activate(state, changedTable(state, transitions));
}

function activateStaged(state: ServiceState): Change<Version> {
  const { staged, active } = state;
  if (staged === null) {
    throw new ChangeoverError(
      'StaleRoutes',
      `No routes of ${state.service} are staged; stage some, or send the transitions along.`,
    );
  }
  // Meanwhile a guardrail may have pulled a candidate, which the staged table does not know.
  const table = staged.base === active.version ? staged.table : changedTable(state, staged.transitions);
  // Kept, so that a step which is taken up again after it was interrupted finds it: what is in effect changes nothing.
  return activate({ ...state, staged: { ...staged, inEffect: true } }, table);
}

function activate(state: ServiceState, table: RouteTable): Change<Version> {
  return {
    state: { ...state, active: table, lastVersion: Math.max(state.lastVersion, table.version) },
    answer: { version: table.version },
  };
}

/** The active table itself where the transitions change nothing: a repeated change gives no new version. */
function changedTable(state: ServiceState, transitions: readonly Transition[]): RouteTable {
  // A guardrail has the last word: a late or repeated `restore` does not bring back what one pulled meanwhile.
  const allowed = transitions.filter(
    (one) => one.kind !== 'restore' || !state.pulls.some(({ release }) => release === one.release),
  );
  const next = applyTransitions(state.active, allowed, state.lastVersion + 1);
  const same = isDeepStrictEqual({ ...next, version: state.active.version }, state.active);
  return same ? state.active : next;
}

/** A guardrail's pull: in effect at once, by the controller's own decision and so without a fence. */
export function pullRelease(
  state: ServiceState,
  pull: { release: string; reason: string; at: string },
): Change<boolean> {
  const table = changedTable(state, [{ kind: 'pull', release: pull.release }]);
  if (table === state.active) return { state, answer: false };
  const { state: next } = activate(state, table);
  return {
    state: { ...next, pulls: [...state.pulls, { ...pull, tableVersion: table.version }] },
    answer: true,
  };
}
