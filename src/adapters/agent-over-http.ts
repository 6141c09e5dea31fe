import { z } from 'zod';
import type { AgentAddress, ServerAgent } from '../ports/server-agent.ts';
import { agentStatusSchema, type AgentStatus } from '../protocol/agent.ts';
import { callControl } from '../protocol/control-client.ts';

const TIMEOUT_MS = 10_000;
/** A package may be large, and come from afar. */
const PREPARE_TIMEOUT_MS = 10 * 60_000;

/** Port `ServerAgent` by the agent's HTTP API. Each call is tried once; whoever calls decides about trying again. */
export function createAgentOverHttp(
  options: { token?: string; timeoutMs?: number; prepareTimeoutMs?: number } = {},
): ServerAgent {
  const callOf = (address: AgentAddress, waitMs = 0) => ({
    baseUrl: address.agent,
    token: options.token,
    answer: agentStatusSchema,
    query: { waitMs: waitMs > 0 ? waitMs : undefined },
    timeoutMs: (options.timeoutMs ?? TIMEOUT_MS) + waitMs,
    peer: `the agent of ${address.server}`,
    unreachable: 'AgentUnreachable' as const,
  });
  return {
    status: (address, wait): Promise<AgentStatus> =>
      callControl({ ...callOf(address, wait?.waitMs), method: 'GET', path: '/v1/status' }),
    prepare: (address, request): Promise<void> =>
      callControl({
        ...callOf(address),
        method: 'POST',
        path: '/v1/prepare',
        body: request,
        answer: z.undefined(),
        timeoutMs: options.prepareTimeoutMs ?? PREPARE_TIMEOUT_MS,
      }),
    upgrade: (address, request, wait): Promise<AgentStatus> =>
      callControl({ ...callOf(address, wait?.waitMs), method: 'PUT', path: '/v1/upgrade', body: request }),
  };
}
