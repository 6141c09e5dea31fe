import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { planJsonSchema } from '../../../src/domain/plan/json-schema.ts';
import { editedPlan, examplePlan } from './example.ts';

const COMMITTED = new URL('../../../deploy/plan.schema.json', import.meta.url);

describe('the JSON Schema of a plan', () => {
  test('is the one committed for editors (renew it with `changeover schema > deploy/plan.schema.json`)', () => {
    expect(JSON.parse(readFileSync(COMMITTED, 'utf8'))).toEqual(planJsonSchema());
  });

  test('accepts the example plan, and refuses what an editor should underline', () => {
    const ajv = new Ajv2020({ strict: true, allErrors: true });
    addFormats.default(ajv);
    const validate = ajv.compile(planJsonSchema());
    expect(validate(examplePlan()), JSON.stringify(validate.errors)).toBe(true);
    for (const edits of [{ 'drain.deadline': '10' }, { gatewyas: [] }, { 'traffic.policy.kind': 'tial' }]) {
      expect(validate(editedPlan(edits)), JSON.stringify(edits)).toBe(false);
    }
  });

  test('explains every field of a plan', () => {
    expect(fieldsWithoutDescription(planJsonSchema().properties ?? {})).toEqual([]);
  });
});

function fieldsWithoutDescription(properties: Record<string, unknown>): string[] {
  return Object.entries(properties).flatMap(([name, schema]) =>
    typeof schema === 'object' && schema !== null && 'description' in schema ? [] : [name],
  );
}
