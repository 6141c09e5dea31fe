import { describe, expect, test } from 'vitest';
import { changeLines, newEntries, type WatchedState } from '../../src/cli/change-lines.ts';
import { judge } from '../../src/domain/decision/judge.ts';
import { stateOfTotals } from '../../src/domain/decision/rule-reading.ts';
import type { RuleVerdict } from '../../src/domain/decision/rule-verdict.ts';
import { ruleSpecOf } from '../../src/domain/decision/spec-of.ts';
import { statusView } from '../../src/cli/status-view.ts';
import { initialState, type UpgradeState } from '../../src/domain/upgrade/state.ts';
import { efficacyOf, statusOf } from '../../src/domain/upgrade/status.ts';
import { examplePlan } from '../domain/upgrade/example-plan.ts';

const AT = '2026-03-01T10:00:00.000Z';
const NOW_MS = Date.parse(AT) + 90_000;
const plan = examplePlan();
const START = initialState(plan, { upgradeId: 'upgrade-wealth.1', at: AT });

function watched(change: Partial<UpgradeState> = {}, more: Partial<WatchedState> = {}): WatchedState {
  const state = { ...START, ...change };
  return {
    status: statusOf(plan, state),
    efficacy: efficacyOf(plan, state),
    timeline: state.timeline,
    gateways: null,
    ...more,
  };
}

function view(state: WatchedState): string {
  return statusView(state, { nowMs: NOW_MS, colour: false });
}

const trial: UpgradeState['trial'] = {
  ...START.trial,
  readings: 3,
  stageElapsedMs: 1000,
  arms: [
    { version: '1.4', role: 'baseline', allocated: 0, volume: 0 },
    { version: '2.0-a', role: 'candidate', allocated: 1000, volume: 800 },
    { version: '2.0-b', role: 'candidate', allocated: 500, volume: 150, pulled: 'errors 12 %' },
  ],
};

/** What a rule says of requests, without a control arm: `isOver` when the trial ends. */
function verdictOf(successes: number, isOver = false): RuleVerdict {
  const spec = ruleSpecOf(
    examplePlan({ decision: { rule: 'max-efficacy' }, trial: { stages: [{ share: '50%', length: '1m' }] } }),
  );
  const arms = [
    { version: '2.0-a', role: 'candidate', allocated: 1000, volume: successes },
    { version: '2.0-b', role: 'candidate', allocated: 1000, volume: 150 },
  ] as const;
  const moved = [`Moved by failover: ${(successes / 100).toFixed(1)} % of the requests.`];
  return judge(spec, stateOfTotals(spec, arms, 60_000), isOver, moved);
}

describe('the view of an upgrade', () => {
  test.each([false, true])('shows what the verdict says and may not claim (trial over: %s)', (isOver) => {
    const verdict = verdictOf(800, isOver);
    expect(verdict.kind).toBe(isOver ? 'winner' : 'collecting');
    expect(verdict.notes.join()).toMatch(/promises no error rate.*Not checked.*Moved by failover/);
    const text = view(watched({ phase: 'trial', trial: { ...trial, verdict } }));
    expect(text).toContain(`  ${verdict.sentence}\n`);
    for (const note of verdict.notes) expect(text).toContain(`  · ${note}`);
  });

  test('shows phase, servers by cluster, routes and what the operator can do', () => {
    const text = view(watched());
    expect(text).toContain('wealth: preflight   upgrade-wealth.1');
    expect(text).toMatch(/base {3}███ {2}open {2}on 1\.4/);
    expect(text).toContain('traffic goes to the baseline; route table 0');
    expect(text).toContain('changeover abort wealth --reason');
    expect(text).not.toContain('changeover approve');
  });

  test('shows traffic and efficacy by version with bars, and no data as no data', () => {
    const text = view(
      watched({ phase: 'trial', trial, routes: { ...START.routes, mode: 'trial', share: 0.25 } }),
    );
    expect(text).toContain('stage 1 of 2: 1 s of 2 s, readings so far: 3');
    expect(text).toContain('at 25 % of what it allots');
    expect(text).toMatch(/1\.4 +·{12} +0 allocated +·{12} no data {2}baseline/);
    expect(text).toMatch(/2\.0-a +█{12} +1,000 allocated +█{12} 80\.0 %/);
    expect(text).toMatch(/2\.0-b +█{6}·{6} +500 allocated +█{4}·{8} 30\.0 % {2}pulled: errors 12 %/);
  });

  test('shows what is wrong, since when, and offers to mend it', () => {
    const problem = { where: 'server blue-1', code: 'StartFailed', message: 'it exited with 1', since: AT };
    const text = view(watched({ problems: [problem] }));
    expect(text).toContain('! server blue-1, for 90 s: it exited with 1 (StartFailed)');
    expect(text).toContain('changeover retry-server wealth --server NAME');
  });

  test('shows gateways that are behind', () => {
    const gateway = {
      acknowledgedAt: AT,
      acknowledgedBy: 'pull',
      problem: null,
      problemSince: null,
    } as const;
    const excluded = { by: 'anna', at: AT, reason: 'switched off', upgradeId: 'upgrade-wealth.1' };
    const list = [
      { ...gateway, name: 'gw-1', acknowledged: 7 },
      { ...gateway, name: 'gw-2', acknowledged: 6, problem: 'ECONNREFUSED', problemSince: AT },
      { ...gateway, name: 'gw-3', acknowledged: 5, excluded },
    ];
    const text = view(watched({}, { gateways: { wanted: 7, list } }));
    expect(text).toContain('gateways: 1 of 2 have route table 7\n');
    expect(text).toContain(`gw-1  table 7 since ${AT} by pull\n`);
    expect(text).toContain(`gw-2  table 6 since ${AT} by pull; behind for 90 s, 7 is wanted; ECONNREFUSED\n`);
    expect(text).toContain(`gw-3  table 5 since ${AT} by pull; declared gone by anna at ${AT}: switched off`);
    // Without the controller: as the last change of the routes saw them.
    expect(view(watched({ gateways: { wanted: 7, list } }))).toContain('gateways: 1 of 2 have route table 7');
  });

  test('shows of a run that is over the route table of its own last step, and who has it', () => {
    const gateway = { name: 'gw-1', acknowledgedAt: AT, problem: null, problemSince: null };
    const ended = {
      outcome: 'promoted',
      routes: { ...START.routes, version: 30 },
      gateways: { wanted: 30, list: [{ ...gateway, acknowledged: 30 }] },
    } as const;
    const now = { wanted: 31, list: [{ ...gateway, acknowledged: 31 }] };
    const text = view(watched(ended, { gateways: now }));
    expect(text).toContain('; route table 30');
    expect(text).toContain('gateways: 1 of 1 have route table 30\n');
    expect(text).not.toContain('31');
  });

  test('lists of many gateways only those with something to say', () => {
    const fine = { acknowledged: 9, acknowledgedAt: AT, problem: null, problemSince: null };
    const list = Array.from({ length: 50 }, (_, index) => ({ ...fine, name: `gw-${index}` }));
    list[17] = { ...fine, name: 'gw-17', acknowledged: 8 };
    const text = view(watched({}, { gateways: { wanted: 9, since: AT, list } }));
    expect(text).toContain('gateways: 49 of 50 have route table 9');
    expect(text).toMatch(/gw-17 {2}table 8 .*behind for 90 s, 9 is wanted\n {4}and 49 more/);
    expect(text).not.toContain('gw-3');
  });

  test('marks a server whose version is uncertain', () => {
    const servers = {
      ...START.servers,
      'blue-1': { cluster: 'blue', stage: 'changing', release: '1.4', dirty: true } as const,
    };
    expect(view(watched({ servers }))).toMatch(/blue +◌██ {2}1 changing, 2 open {2}on 1 1\.4\?, 2 1\.4/);
  });
});

describe('the lines of a watch in a pipe', () => {
  test('begin with the timeline', () => {
    expect(changeLines(undefined, watched(), AT)).toEqual([
      `${AT} preflight: Upgrade of wealth from 1.4 began`,
    ]);
  });

  test('are empty where nothing changed', () => {
    expect(changeLines(watched(), watched(), AT)).toEqual([]);
  });

  test('tell of servers, readings and problems, and when these are mended', () => {
    const servers = {
      ...START.servers,
      'blue-1': { cluster: 'blue', stage: 'ready', release: '2.0-a' } as const,
    };
    const problem = { where: 'server blue-2', code: 'StartFailed', message: 'it exited with 1', since: AT };
    const after = watched({ phase: 'trial', servers, trial, problems: [problem] });
    expect(changeLines(watched(), after, AT)).toEqual([
      `${AT} trial: server blue-1: open → ready, 1.4 → 2.0-a`,
      `${AT} trial: reading 3, stage 1 of 2: Nothing was measured yet.`,
      `${AT} trial: problem: server blue-2: it exited with 1`,
    ]);
    expect(changeLines(after, watched({ phase: 'trial', servers, trial }), AT)).toEqual([
      `${AT} trial: mended: server blue-2: it exited with 1`,
    ]);
  });

  test('tell each note of a verdict once while the trial collects, and all of them with its verdict', () => {
    const at = (readings: number, verdict: RuleVerdict) =>
      watched({ phase: 'trial', trial: { ...trial, readings, verdict } });
    const notesIn = (before: WatchedState, after: WatchedState) =>
      changeLines(before, after, AT).flatMap((line) => line.split(' trial: note: ')[1] ?? []);
    const [first, second, last] = [verdictOf(700), verdictOf(800), verdictOf(900, true)];
    expect(notesIn(watched({ phase: 'trial' }), at(1, first))).toEqual(first.notes);
    // Only a number of it changed.
    expect(notesIn(at(1, first), at(2, second))).toEqual([]);
    expect(notesIn(at(2, second), at(3, last))).toEqual(last.notes);
  });

  test('tell of a table that many gateways took in one line, and of those in trouble one by one', () => {
    const fine = { acknowledged: 9, acknowledgedAt: AT, problem: null, problemSince: null };
    const list = Array.from({ length: 50 }, (_, index) => ({ ...fine, name: `gw-${index}` }));
    list[17] = { ...fine, name: 'gw-17', acknowledged: 8 };
    expect(changeLines(watched(), watched({}, { gateways: { wanted: 9, list } }), AT)).toEqual([
      `${AT} preflight: 49 gateways: route table 9`,
      `${AT} preflight: gateway gw-17: route table 8`,
    ]);
  });

  test('tell each entry of the timeline once, also when the oldest were dropped', () => {
    const entry = (what: string) => ({ at: AT, phase: 'trial' as const, what });
    const before = [entry('a'), entry('b'), entry('c')];
    expect(newEntries(before, [entry('b'), entry('c'), entry('d')])).toEqual([entry('d')]);
    expect(newEntries(before, before)).toEqual([]);
    expect(newEntries([], before)).toEqual(before);
  });
});
