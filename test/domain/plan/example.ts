import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import { planSchema, type PlanInput } from '../../../src/domain/plan/schema.ts';

const EXAMPLE = new URL('../../../docs/example-plan.yaml', import.meta.url);

/** The committed example plan, fresh for each test. */
export function examplePlan(): PlanInput {
  const data: unknown = parse(readFileSync(EXAMPLE, 'utf8'));
  planSchema.parse(data);
  return data as PlanInput;
}

/** Field → what a person writes there instead; undefined deletes it. */
export type Edits = Readonly<Record<string, unknown>>;

/** The example after edits such as `{'clusters.blue.servers[2].agent': 'x'}`. */
export function editedPlan(edits: Edits): unknown {
  const plan = examplePlan();
  for (const [field, value] of Object.entries(edits)) setField(plan, field, value);
  return plan;
}

/** What is wrong with the example after edits, as `field: message`. */
export function problemsAfter(edits: Edits): string[] {
  const read = readPlan(editedPlan(edits));
  return read.ok ? [] : read.problems.map(({ field, message }) => `${field}: ${message}`);
}

function setField(root: object, field: string, value: unknown): void {
  const keys = field.split(/[.[\]]+/).filter((key) => key !== '');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<object>((node, key) => Reflect.get(node, key) as object, root);
  if (value === undefined) Reflect.deleteProperty(parent, last);
  else Reflect.set(parent, last, value);
}
