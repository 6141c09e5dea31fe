import { namedApart } from './arm-names.ts';
import { checkPlan } from './checks.ts';
import { draftPlan } from './draft.ts';
import { planProblem, type PlanProblem } from './problem.ts';
import { planSchema, type Plan } from './schema.ts';
import { shapeProblems } from './shape-problems.ts';

export type ReadPlan =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly problems: readonly PlanProblem[] };

/** Deeper than any plan goes, and shallow enough for every parser after this one. */
const MAX_DEPTH = 32;

/** Reads a plan from plain data. What is wrong comes out all at once, in the order of the schema. */
export function readPlan(input: unknown): ReadPlan {
  const unsafe = unsafeProblem(input);
  if (unsafe !== undefined) return { ok: false, problems: [unsafe] };
  const parsed = planSchema.safeParse(input);
  const shape = shapeProblems(parsed.error?.issues ?? [], input);
  const draft = draftPlan(input);
  const said = new Set(shape.map((problem) => problem.field));
  const problems = [
    ...shape,
    ...(draft === undefined ? [] : checkPlan(draft)).filter((problem) => !said.has(problem.field)),
  ];
  if (parsed.data !== undefined && problems.length === 0) return { ok: true, plan: namedApart(parsed.data) };
  return { ok: false, problems: inPlanOrder(problems) };
}

/** Keys that would reach into JavaScript itself, and nesting that would exhaust a parser. */
function unsafeProblem(value: unknown, path: readonly PropertyKey[] = []): PlanProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (path.length >= MAX_DEPTH) {
    return planProblem({
      path: path.slice(0, 3),
      value,
      message: `must be nested less than ${MAX_DEPTH} deep`,
    });
  }
  if (Object.hasOwn(value, '__proto__')) {
    return planProblem({ path, value: '__proto__', message: 'must not have a key __proto__' });
  }
  const entries: [PropertyKey, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  for (const [key, child] of entries) {
    const problem = unsafeProblem(child, [...path, key]);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const ORDER = Object.keys(planSchema.shape);

function inPlanOrder(problems: readonly PlanProblem[]): PlanProblem[] {
  const rank = ({ field }: PlanProblem) => ORDER.indexOf(field.split(/[.[]/, 1)[0] ?? '');
  return [...problems].sort((a, b) => rank(a) - rank(b));
}
