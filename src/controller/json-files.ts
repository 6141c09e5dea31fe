import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';

/**
 * A JSON file of the state folder by its schema; undefined where there is none.
 *
 * @throws ChangeoverError `Internal` for a file that is damaged: to go on with an empty state would give out route
 * versions a second time (invariant 4).
 */
export async function readJsonFile<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new ChangeoverError(
      'Internal',
      `The controller does not start: its state in ${path} is damaged. ${why}\nPut a backup of that file back, or, if the service shall be taken over anew, move it away.`,
      { cause },
    );
  }
}
