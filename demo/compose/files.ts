import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPlan } from '../../src/domain/plan/read-plan.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import { BASELINE, buildPackage, FLOATING_SECOND, STATIC_HOME } from '../packages.ts';
import { agentConfig, agents, plan } from './fleet.ts';

/** Writes what the containers share: the three packages, an agent configuration per server, and the plan. */
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
}

/** The plan that was written there. */
export async function readWrittenPlan(folder: string): Promise<Plan> {
  const read = readPlan(JSON.parse(await readFile(planFile(folder), 'utf8')));
  if (!read.ok) throw new Error(`the demo's own plan is wrong: ${JSON.stringify(read.problems)}`);
  return read.plan;
}

function planFile(folder: string): string {
  return join(folder, 'plan.json');
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, null, 2)}\n`);
}
