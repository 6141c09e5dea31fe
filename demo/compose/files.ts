import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPlan } from '../../src/domain/plan/read-plan.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import { BASELINE, buildPackage, FLOATING_SECOND, STATIC_HOME } from '../packages.ts';
import { agentConfig, agents, plan, type Profile } from './fleet.ts';

/** With gateways of their own, each with a plan that has them: `plan-haproxy.json` … */
export const PROFILES = ['haproxy', 'sidecar'] as const satisfies readonly Profile[];

/** Writes what the containers share: the three packages, an agent configuration per server, and the plans. */
export async function writeFiles(folder: string): Promise<void> {
  const to = { outDir: join(folder, 'packages'), os: 'linux' } as const;
  const packages = {
    baseline: await buildPackage({ ...BASELINE, ...to }),
    staticHome: await buildPackage({ ...STATIC_HOME, ...to }),
    floatingSecond: await buildPackage({ ...FLOATING_SECOND, ...to }),
  };
  await mkdir(join(folder, 'agents'), { recursive: true });
  for (const { server } of agents()) {
    await writeJson(join(folder, 'agents', `${server}.json`), agentConfig(server, to.outDir));
  }
  await writeJson(planFile(folder), plan(packages));
  for (const profile of PROFILES) await writeJson(planFile(folder, profile), plan(packages, [profile]));
}

/** The plan that was written there. */
export async function readWrittenPlan(folder: string, profile?: Profile): Promise<Plan> {
  const read = readPlan(JSON.parse(await readFile(planFile(folder, profile), 'utf8')));
  if (!read.ok) throw new Error(`the demo's own plan is wrong: ${JSON.stringify(read.problems)}`);
  return read.plan;
}

function planFile(folder: string, profile?: Profile): string {
  return join(folder, profile === undefined ? 'plan.json' : `plan-${profile}.json`);
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, null, 2)}\n`);
}
