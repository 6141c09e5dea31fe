import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MAX_PLAN_BYTES, parsePlanText } from '../../src/adapters/plan-file.ts';

const EXAMPLE = readFileSync(new URL('../../docs/example-plan.yaml', import.meta.url), 'utf8');

describe('a plan file', () => {
  test('is read from YAML and from JSON alike', () => {
    const fromYaml = parsePlanText(EXAMPLE, 'plan.yaml');
    if (!fromYaml.ok) throw new Error(fromYaml.message);
    expect(fromYaml.read).toMatchObject({ ok: true });
    expect(parsePlanText(JSON.stringify(fromYaml.data), 'plan.json')).toEqual(fromYaml);
  });

  test('keeps versions such as 1.10 as they are written, also as keys', () => {
    const parsed = parsePlanText('traffic: { policy: { kind: hash, weights: { 1.10: 1 } } }', 'plan.yaml');
    expect(parsed).toMatchObject({ data: { traffic: { policy: { weights: { '1.10': 1 } } } } });
  });

  test.each([
    ['text that is no YAML', 'service: [wealth', /plan.yaml cannot be read:\n.*line 1, column \d+/],
    ['a duplicate key', 'service: a\nservice: b', /Map keys must be unique at line 2, column 1/],
    ['a tab as indentation', 'drain:\n\tbatch: 1', /line 2, column 1/],
    ['a custom tag', 'service: !!js/function x', /Unresolved tag/],
    ['a set', 'service: !!set {x}', /Unresolved tag/],
    ['two documents', 'service: a\n---\nservice: b', /multiple documents/],
    ['an alias of nothing', 'service: *x', /cannot be read:\n  - Unresolved alias/],
    ['aliases that blow up', bomb(), /cannot be read:\n  - Excessive alias count/],
    ['nesting without end', '['.repeat(60_000), /line 1 is nested more than 64 deep/],
    ['lists in lists on one line', '- '.repeat(60_000), /nested more than 64 deep/],
    ['too much text', `# ${'x'.repeat(MAX_PLAN_BYTES)}`, /plan.yaml has 129 KB; a plan may have 128 KB/],
  ])('with %s is refused, with the place', (_name, text, message) => {
    expect(parsePlanText(text, 'plan.yaml')).toMatchObject({
      ok: false,
      message: expect.stringMatching(message),
    });
  });

  test('with a key __proto__ is refused', () => {
    const parsed = parsePlanText('__proto__: { service: x }', 'plan.yaml');
    expect(parsed).toMatchObject({ ok: true, read: { ok: false, problems: [{ held: '"__proto__"' }] } });
  });
});

function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level += 1) {
    lines.push(
      `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  }
  return lines.join('\n');
}
