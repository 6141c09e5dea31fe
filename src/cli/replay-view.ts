import { allOf } from '../domain/decision/sentence.ts';
import type { RecordedVerdict } from './recorded-decisions.ts';
import type { ReplayResult } from './replay-histories.ts';

export function describeReplay({ runId, events, deviation, verdicts, signals }: ReplayResult): string {
  const agreeing = verdicts.filter((verdict) => verdict.agrees).length;
  const decided = verdicts.filter(({ agrees, recorded }) => !agrees || recorded.kind !== 'collecting');
  const count = (matches: (verdict: RecordedVerdict) => boolean): number =>
    verdicts.filter((verdict) => verdict.agrees && matches(verdict)).length;
  const inOtherWords = count(({ differs }) => differs.includes('words'));
  const byLater = count(({ rules }) => rules === 'later');
  const onOther = count(({ rules, differs }) => rules === 'earlier' && differs.includes('evidence'));
  const others = [
    ...(inOtherWords > 0 ? [`  ${inOtherWords} of them this version tells in other words`] : []),
    ...(onOther > 0
      ? [
          `  ${onOther} of them were read by an earlier version of the rules, which kept other evidence for later readings; the verdict is the same`,
        ]
      : []),
    ...(byLater > 0
      ? [
          `  ${byLater} of them were read by a later version of the rules than this one knows; of these only what was decided is compared`,
        ]
      : []),
  ];
  return [
    `run ${runId}, ${events} events`,
    deviation === null
      ? '  this version of the workflow does the same'
      : `  this version of the workflow would do otherwise: ${deviation}`,
    `  ${agreeing} of ${verdicts.length} verdicts follow from the recorded numbers`,
    ...others,
    ...decided.flatMap((verdict) => describeVerdict(verdict)),
    ...signals.map(
      ({ event, at, signal, payload }) => `    event ${event}, ${at}: ${signal} ${JSON.stringify(payload)}`,
    ),
  ].join('\n');
}

function describeVerdict(verdict: RecordedVerdict): string[] {
  const { event, at, recorded } = verdict;
  const told = describeDifference(verdict);
  return [
    `    event ${event}, ${at}: ${recorded.kind}. ${recorded.sentence}`,
    ...(told === undefined ? [] : [`      ${told}`]),
  ];
}

function describeDifference({
  recorded,
  derived,
  agrees,
  differs,
  fields,
}: RecordedVerdict): string | undefined {
  const isTold = recorded.sentence === derived.sentence;
  if (!agrees) {
    if (!isTold || recorded.kind !== derived.kind) {
      return `but the numbers say: ${derived.kind}. ${derived.sentence}`;
    }
    const other = [...fields, ...(differs.includes('evidence') ? ['evidence'] : [])];
    return `but the numbers lead to other ${allOf(other)}`;
  }
  if (!differs.includes('words')) return undefined;
  return isTold
    ? `in this version with other ${allOf(fields)}`
    : `in the words of this version: ${derived.sentence}`;
}
