import { z } from 'zod';
import { planSchema } from './schema.ts';

const SCHEMA_ID = 'urn:changeover:plan';

/** The plan as a person writes it, as JSON Schema (draft 2020-12), for editors and for what writes plans itself. */
export function planJsonSchema(): z.core.JSONSchema.JSONSchema {
  const { $schema, ...rest } = z.toJSONSchema(planSchema, { io: 'input' });
  return {
    ...($schema === undefined ? {} : { $schema }),
    $id: SCHEMA_ID,
    title: 'Changeover plan',
    description:
      'How a service is upgraded without losing a request, and how real traffic chooses the version.',
    ...rest,
  };
}
