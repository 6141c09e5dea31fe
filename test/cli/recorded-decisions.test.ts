import { readdirSync, readFileSync } from 'node:fs';
import { historyFromJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { describe, expect, test } from 'vitest';
import { recordedVerdicts } from '../../src/cli/recorded-decisions.ts';
import { RULES_VERSION } from '../../src/domain/decision/rule.ts';

/** Histories that this and earlier versions recorded; the workflow's tests derive those of this version bit for bit. */
const FOLDER = new URL('../histories/', import.meta.url);

function history(name: string): History {
  return historyFromJSON(JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')));
}

const DECIDED =
  'a-winner-by-evidence-ends-the-trial-early-and-the-history-proves-it-block-by-block-invariant-8-.json';

/** The results of its readings changed as somebody, or another version, would have written them. */
function edited(change: (told: string) => string): History {
  const changed = history(DECIDED);
  for (const event of changed.events ?? []) {
    for (const payload of event.activityTaskCompletedEventAttributes?.result?.payloads ?? []) {
      const told = Buffer.from(payload.data ?? []).toString();
      if (told.includes('"verdict":{')) payload.data = Buffer.from(change(told));
    }
  }
  return changed;
}

/** As this version notes it. */
const ofToday = (told: string): string =>
  told.replace('"decision":{', `"decision":{"rulesVersion":${RULES_VERSION},`);

describe('the verdicts of a recorded upgrade', () => {
  test.each(readdirSync(FOLDER))('follow from its numbers, whichever version recorded it: %s', (name) => {
    expect(recordedVerdicts(history(name)).filter(({ agrees }) => !agrees)).toEqual([]);
  });

  test('follow from its numbers in other words, and it is said that these are others', () => {
    const verdicts = recordedVerdicts(edited((told) => ofToday(told).replace(' wins', ' is the winner')));
    expect(verdicts.filter(({ agrees }) => !agrees)).toEqual([]);
    const [other, ...more] = verdicts.filter(({ differs }) => differs.includes('words'));
    expect(more).toEqual([]);
    expect(other?.recorded.sentence).toContain('2.0-a is the winner');
    expect(other?.derived.sentence).toContain('2.0-a wins');
  });

  test('do not follow where somebody else was named, or other numbers were shown', () => {
    const disagreeing = (change: (told: string) => string) =>
      recordedVerdicts(edited(change)).filter(({ agrees }) => !agrees);
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

  test('rest on the same evidence bit for bit; only an earlier version may have kept other evidence', () => {
    const other = (told: string): string => told.replace(/"lnE":\[\[-?/, '"lnE":[[9');
    const kept = recordedVerdicts(edited(other));
    expect(kept.filter(({ agrees }) => !agrees)).toEqual([]);
    expect(kept.filter(({ differs }) => differs.includes('evidence'))).not.toEqual([]);
    expect(
      recordedVerdicts(edited((told) => ofToday(other(told)))).filter(({ agrees }) => !agrees),
    ).not.toEqual([]);
    expect(recordedVerdicts(edited(ofToday)).filter(({ agrees }) => !agrees)).toEqual([]);
  });
});
