import { isOfRule } from '../domain/decision/evidence-lines.ts';
import type { AnyVerdict } from '../domain/upgrade/results.ts';

/** What a verdict rests on or may not claim; none for verdicts recorded before rules said it. */
export function verdictNotes(verdict: AnyVerdict | null): readonly string[] {
  return verdict !== null && isOfRule(verdict) ? verdict.notes : [];
}

/** Notes that nobody was told yet: while a trial collects, not again where only numbers changed; all with a verdict. */
export function newNotes(before: AnyVerdict | null, after: AnyVerdict | null): readonly string[] {
  const notes = verdictNotes(after);
  if (before?.kind !== after?.kind) return notes;
  const told = new Set(verdictNotes(before).map(withoutNumbers));
  return notes.filter((note) => !told.has(withoutNumbers(note)));
}

function withoutNumbers(note: string): string {
  return note.replaceAll(/\d[\d.,]*/g, '#');
}
