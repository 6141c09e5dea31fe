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

/** Keys that would reach into JavaScript itself. */
export function forbiddenKeys(value: unknown, path: FieldPath = []): PlanProblem[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value).flatMap((key) => [
    ...(key === '__proto__'
      ? [planProblem({ path, value: key, message: 'must not have a key __proto__' })]
      : []),
    ...forbiddenKeys(valueAt(value, [key]), [...path, key]),
  ]);
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
