import { z } from 'zod';
import { nearest, planProblem, type FieldPath, type PlanProblem } from '../domain/plan/problem.ts';

/** Everything that is wrong with a configuration: field, what it held, what it may hold. */
export function configProblems(
  error: z.ZodError,
  source: { raw: unknown; schema: z.ZodType },
): PlanProblem[] {
  const jsonSchema = z.toJSONSchema(source.schema, { io: 'input', unrepresentable: 'any' });
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(jsonSchema, issue.path);
      return issue.keys.map((key) =>
        planProblem({
          path: [...issue.path, key],
          value: valueAt(source.raw, [...issue.path, key]),
          message: `must not be there: known here are ${known.join(', ')}`,
          suggestion: nearest(key, known),
        }),
      );
    }
    return [
      planProblem({ path: issue.path, value: valueAt(source.raw, issue.path), message: mayHold(issue) }),
    ];
  });
}

/** Deeper than any configuration goes. An alias that contains itself has no end. */
const MAX_DEPTH = 32;

/** What must not get as far as a schema: keys that would reach into JavaScript itself, and endless nesting. */
export function unsafeProblems(value: unknown, path: FieldPath = []): PlanProblem[] {
  if (typeof value !== 'object' || value === null) return [];
  if (path.length >= MAX_DEPTH) {
    const message = `must be nested less than ${MAX_DEPTH} deep`;
    return [planProblem({ path: path.slice(0, 3), value: undefined, message })];
  }
  if (Object.hasOwn(value, '__proto__')) {
    return [planProblem({ path, value: '__proto__', message: 'must not have a key __proto__' })];
  }
  return Object.keys(value).flatMap((key) => unsafeProblems(valueAt(value, [key]), [...path, key]));
}

/** Messages of our schemas begin with `must`; zod's own are put in our words. */
function mayHold(issue: z.core.$ZodIssue): string {
  if (issue.message.startsWith('must')) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `must be a value of type ${issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must be ${Number(issue.minimum)} or more`;
    case 'too_big':
      return `must be ${Number(issue.maximum)} or less`;
    case 'custom':
    case 'invalid_format':
    case 'invalid_union':
    case 'invalid_key':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return `must fit: ${issue.message}`;
  }
}

function valueAt(root: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null) return undefined;
    return Object.getOwnPropertyDescriptor(value, key)?.value;
  }, root);
}

function keysAt(jsonSchema: unknown, path: FieldPath): string[] {
  const node = path.reduce<unknown>((at, key) => valueAt(at, ['properties', key]), jsonSchema);
  const properties = valueAt(node, ['properties']);
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}
