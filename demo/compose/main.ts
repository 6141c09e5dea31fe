import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { createAgentOverHttp } from '../../src/adapters/agent-over-http.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { readConfig } from '../../src/config.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';
import { packageFor } from '../../src/domain/plan/package-for.ts';
import { planToServiceDefinition } from '../../src/domain/plan/service-definition.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import type { AgentAddress, ServerAgent } from '../../src/ports/server-agent.ts';
import { agents } from './fleet.ts';
import { readWrittenPlan, writeFiles } from './files.ts';

const POLL_MS = 200;

/** Installs the baseline on every server that runs nothing yet, and puts the service under the flow controller. */
async function installBaseline(folder: string): Promise<void> {
  const { agentToken, controller } = readConfig();
  const plan = await readWrittenPlan(folder);
  const agent = createAgentOverHttp(agentToken === undefined ? {} : { token: agentToken });
  await Promise.all(agents().map((address) => installOn(agent, address, plan)));

  const { service, baseline } = plan;
  const { version } = await createFlowController(controller).adopt(service, planToServiceDefinition(plan));
  console.log(`${service} runs ${baseline.version} everywhere, route table ${version}`);
}

async function installOn(agent: ServerAgent, address: AgentAddress, plan: Plan): Promise<void> {
  let status = await agent.status(address);
  if (status.runningVersion !== null) return;
  const params = packageFor(plan, plan.baseline.version, status.os);
  // The lowest fence: every upgrade comes after it.
  const request = { key: `demo-baseline-${Date.now()}`, fence: 0, service: plan.service, params };
  status = await agent.upgrade(address, request);
  while (status.upgrade?.state === 'running') {
    await delay(POLL_MS);
    status = await agent.status(address);
  }
  const error = status.upgrade?.error;
  if (error !== undefined) throw new ChangeoverError(error.code, `${address.server}: ${error.message}`);
}

const program = new Command('compose').description('What the demo clusters of docker-compose.yml need.');
program
  .command('files <folder>')
  .description('write packages, agent configurations and plan')
  .action((folder: string) => writeFiles(folder));
program
  .command('baseline <folder>')
  .description('install the baseline on every server that runs nothing, and adopt the service')
  .action((folder: string) => installBaseline(folder));

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
