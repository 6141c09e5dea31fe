import { readPlan, type ReadPlan } from '../domain/plan/read-plan.ts';
import { readYamlText } from '../protocol/yaml-text.ts';

/** Largest plan file, in bytes: what goes into a workflow's history is kept far below Temporal's 2 MB. */
export const MAX_PLAN_BYTES = 128 * 1024;

/** `data` is the plan in its input form, plain JSON: this is what a workflow takes. */
export type PlanText =
  | { readonly ok: true; readonly data: unknown; readonly read: ReadPlan }
  | { readonly ok: false; readonly message: string };

/**
 * Reads a plan from YAML 1.2 (core schema) or JSON, which is YAML too: one parser for both. Text that is no YAML, has
 * duplicate keys, custom tags or too many aliases, or is too long comes back with a message that names line and column.
 */
export function parsePlanText(text: string, fileName: string): PlanText {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_PLAN_BYTES) {
    const message = `${fileName} has ${Math.ceil(bytes / 1024)} KB; a plan may have ${MAX_PLAN_BYTES / 1024} KB.`;
    return { ok: false, message };
  }
  const yaml = readYamlText(text);
  if (yaml.ok) return { ok: true, data: yaml.data, read: readPlan(yaml.data) };
  const lines = yaml.faults.map((fault) => `  - ${fault.replaceAll('\n', '\n    ')}`);
  return { ok: false, message: [`${fileName} cannot be read:`, ...lines].join('\n') };
}
