import { readdirSync, readFileSync } from 'node:fs';
import { historyFromJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { describe, expect, test } from 'vitest';
import { recordedVerdicts } from '../../src/cli/recorded-decisions.ts';
import { describeReplay } from '../../src/cli/replay-view.ts';
import { RULES_VERSION, SAME_STATE_SINCE } from '../../src/domain/decision/rule.ts';

/** Histories that this and earlier versions recorded; the workflow's tests derive those of this version bit for bit. */
const FOLDER = new URL('../histories/', import.meta.url);

function history(name: string): History {
  return historyFromJSON(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')));
}

const DECIDED =
  'a-winner-by-evidence-ends-the-trial-early-and-the-history-proves-it-block-by-block-invariant-8-.json';

/** The results of its readings in the words of this version, changed as somebody, or another version, would have. */
function edited(change: (told: string) => string): History {
  const changed = history(DECIDED);
  const words = new Map(recordedVerdicts(changed).map(({ event, derived }) => [event, derived]));
  for (const event of changed.events ?? []) {
    const verdict = words.get(Number(event.eventId));
    if (verdict === undefined) continue;
    for (const payload of event.activityTaskCompletedEventAttributes?.result?.payloads ?? []) {
      const told = JSON.parse(Buffer.from(payload.data ?? []).toString()) as object;
      payload.data = Buffer.from(change(JSON.stringify({ ...told, verdict })));
    }
  }
  return changed;
}

/** As if read by the rules of this version, or of one that many after it. */
const noted =
  (after = 0) =>
  (told: string): string =>
    told.replace('"decision":{', `"rulesVersion":${RULES_VERSION + after},"decision":{`);

const inOtherWords = (told: string): string => told.replace(' wins', ' is the winner');
const onOtherEvidence = (told: string): string => told.replace(/"lnE":\[\[-?/, '"lnE":[[9');

const disagreeing = (change: (told: string) => string) =>
  recordedVerdicts(edited(change)).filter(({ agrees }) => !agrees);

describe('the verdicts of a recorded upgrade', () => {
  test.each(readdirSync(FOLDER))('follow from its numbers, whichever version recorded it: %s', (name) => {
    expect(recordedVerdicts(history(name)).filter(({ agrees }) => !agrees)).toEqual([]);
  });

  test('come again word for word by the same rules', () => {
    const verdicts = recordedVerdicts(edited(noted()));
    expect(verdicts.map(({ rules, agrees, fields }) => ({ rules, agrees, fields }))).toEqual(
      verdicts.map(() => ({ rules: 'same', agrees: true, fields: [] })),
    );
    const [other, ...more] = disagreeing((told) => noted()(inOtherWords(told)));
    expect(more).toEqual([]);
    expect(other).toMatchObject({ rules: 'same', fields: ['sentence'], differs: ['words'] });
  });

  test.each<[string, (told: string) => string, string]>([
    ['a note', (told) => told.replace('"notes":[', '"notes":["Decided by lot.",'), 'notes'],
    ['an interval', (told) => told.replace(/"interval":\[0/, '"interval":[1'), 'arms'],
    [
      'what is missing',
      (told) => told.replace(/"missing":(null|\{[^}]*\})/, '"missing":{"units":5,"ms":null}'),
      'missing',
    ],
  ])('do not follow by the same rules where %s is another', (_what, change, field) => {
    const [first] = disagreeing((told) => noted()(change(told)));
    expect(first).toMatchObject({ agrees: false, fields: [field] });
    expect(disagreeing(change)).toEqual([]);
  });

  test.each([
    ['earlier', (told: string) => told],
    ['later', noted(1)],
  ])('of %s rules follow in other words, and it is said that these are others', (rules, note) => {
    const verdicts = recordedVerdicts(edited((told) => note(inOtherWords(told))));
    expect(verdicts.filter(({ agrees }) => !agrees)).toEqual([]);
    expect(new Set(verdicts.map((verdict) => verdict.rules))).toEqual(new Set([rules]));
    const [other, ...more] = verdicts.filter(({ differs }) => differs.includes('words'));
    expect(more).toEqual([]);
    expect(other?.recorded.sentence).toContain('2.0-a is the winner');
    expect(other?.derived.sentence).toContain('2.0-a wins');
  });

  test('do not follow where somebody else was named, or other numbers were shown', () => {
    expect(disagreeing((told) => told.replace('"winner":"2.0-a"', '"winner":"2.0-b"'))).toHaveLength(1);
    expect(disagreeing((told) => told.replace(/"units":(\d+)/, '"units":9$1'))).not.toEqual([]);
  });

  test('follow from the comparison that the history names, whatever its policy would be called today', () => {
    const observational = history(DECIDED);
    for (const event of observational.events ?? []) {
      for (const payload of event.activityTaskScheduledEventAttributes?.input?.payloads ?? []) {
        const asked = Buffer.from(payload.data ?? []).toString();
        payload.data = Buffer.from(asked.replace(/"comparison":"\w+"/, '"comparison":"segment"'));
      }
    }
    const kinds = (told: History): readonly string[] =>
      recordedVerdicts(told).map(({ derived }) => derived.kind);
    expect(kinds(history(DECIDED))).toContain('winner');
    expect(kinds(observational)).not.toContain('winner');
  });

  test.each([
    ['earlier', (told: string) => told],
    ['later', noted(1)],
  ])('of %s rules may rest on other evidence, which is said', (_rules, note) => {
    const kept = recordedVerdicts(edited((told) => note(onOtherEvidence(told))));
    expect(kept.filter(({ agrees }) => !agrees)).toEqual([]);
    expect(kept.filter(({ differs }) => differs.includes('evidence'))).not.toEqual([]);
  });

  test('rest on the same evidence bit for bit by all rules that keep the same', () => {
    expect(disagreeing((told) => noted()(onOtherEvidence(told)))).not.toEqual([]);
    const since = noted(SAME_STATE_SINCE - RULES_VERSION);
    expect(disagreeing((told) => since(onOtherEvidence(told)))).not.toEqual([]);
    expect(disagreeing((told) => since(inOtherWords(told)))).toEqual([]);
  });
});

test('changeover replay says what differs, and by whose rules it was read', () => {
  const said = (change: (told: string) => string): string =>
    describeReplay({
      ...{ runId: 'run', events: 9, deviation: null, signals: [] },
      verdicts: recordedVerdicts(edited(change)),
    });
  expect(said(inOtherWords)).toMatch(
    /2 of 2 verdicts follow[^]*1 of them this version tells in other words\n[^]*in the words of this version: 2\.0-a wins/,
  );
  expect(said(onOtherEvidence)).toMatch(/were read by an earlier version of the rules, which kept/);
  const later = said((told) => noted(1)(onOtherEvidence(told)));
  expect(later).toContain('2 of them were read by a later version of the rules than this one knows');
  expect(later).not.toContain('earlier');
  expect(said((told) => noted()(inOtherWords(told)))).toMatch(
    /1 of 2 verdicts follow[^]*but the numbers say: winner\. 2\.0-a wins/,
  );
  expect(said((told) => noted()(told.replace('"notes":[', '"notes":["Decided by lot.",')))).toContain(
    'but the numbers lead to other notes',
  );
});
