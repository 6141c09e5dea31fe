import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parsePlanText } from '../adapters/plan-file.ts';
import { formatPlanProblems } from '../domain/plan/problem.ts';
import type { PlanProblem } from '../domain/plan/problem.ts';
import type { Plan } from '../domain/plan/schema.ts';
import { ChangeoverError } from '../domain/errors.ts';

/** A plan that is right: as written (what a workflow takes), and as it is read. */
export interface PlanInputFile {
  readonly data: unknown;
  readonly plan: Plan;
}

export type PlanCheck =
  | ({ readonly ok: true } & PlanInputFile)
  | { readonly ok: false; readonly message: string; readonly problems: readonly PlanProblem[] };

/**
 * Reads and checks a plan file; `-` is standard input.
 *
 * @throws ChangeoverError `InvalidRequest` where the file cannot be read at all.
 */
export async function checkPlanFile(file: string): Promise<PlanCheck> {
  const name = file === '-' ? 'standard input' : basename(file);
  const parsed = parsePlanText(await readText(file), name);
  if (!parsed.ok) return { ok: false, message: parsed.message, problems: [] };
  const { read, data } = parsed;
  if (!read.ok) return { ok: false, message: formatPlanProblems(read.problems), problems: read.problems };
  return { ok: true, data, plan: read.plan };
}

/** The same, for who needs a right one. @throws ChangeoverError `InvalidPlan` with all problems. */
export async function readPlanFile(file: string): Promise<PlanInputFile> {
  const check = await checkPlanFile(file);
  if (check.ok) return check;
  throw new ChangeoverError('InvalidPlan', check.message, { details: { problems: check.problems } });
}

async function readText(file: string): Promise<string> {
  try {
    if (file !== '-') return await readFile(file, 'utf8');
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
    return Buffer.concat(chunks).toString('utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChangeoverError('InvalidRequest', `The plan cannot be read: ${reason}.`, { cause });
  }
}
