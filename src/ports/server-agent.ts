import type { UpgradeParams } from '../domain/upgrade-params.ts';
import type { AgentStatus } from '../protocol/agent.ts';

/** Address of one server's agent. */
export interface AgentAddress {
  readonly server: string;
  readonly agent: string;
}

/**
 * The daemon next to a server's software. All calls are safe to repeat.
 *
 * @throws ChangeoverError `AgentUnreachable` when it does not answer, `Fenced` when a newer caller was there, or what
 * the agent itself answered.
 */
export interface ServerAgent {
  /** `waitMs`: while an upgrade is under way it answers once that is over, or after this time. At once by default. */
  status(address: AgentAddress, options?: { waitMs: number }): Promise<AgentStatus>;
  /** Fetches, verifies and unpacks a package ahead of its use; the running software is not touched. */
  prepare(address: AgentAddress, request: { service: string; params: UpgradeParams }): Promise<void>;
  /** Starts the upgrade; `status` says how it goes. `waitMs`: as there. */
  upgrade(
    address: AgentAddress,
    request: { key: string; fence: number; service: string; params: UpgradeParams },
    options?: { waitMs: number },
  ): Promise<AgentStatus>;
}
