import { ChangeoverError, type ErrorCode } from '../../src/domain/errors.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import type { ServerAgent } from '../../src/ports/server-agent.ts';
import type { AgentStatus } from '../../src/protocol/agent.ts';

export interface FakeServer {
  version: string;
  inFlight: number;
  upgrade: AgentStatus['upgrade'];
  /** Keys that were pushed before the present one: pushed again, they are refused as the real agent does. */
  over: Set<string>;
  healthy: boolean;
  /** What the next pushes answer with, until it is taken away. */
  fault?: { code: ErrorCode; message: string };
}

/** The servers of a plan with their agents, in memory. Whoever changes one that is open breaks on it (invariant 2). */
export class InMemoryAgents implements ServerAgent {
  readonly servers: ReadonlyMap<string, FakeServer>;
  readonly #plan: Plan;
  readonly #table: () => RouteTable;
  readonly #note: (call: string) => void;

  constructor(parts: { plan: Plan; table: () => RouteTable; note: (call: string) => void }) {
    this.#plan = parts.plan;
    this.#table = parts.table;
    this.#note = parts.note;
    this.servers = new Map(
      parts
        .table()
        .servers.map(({ name, release }) => [
          name,
          { version: release, inFlight: 0, upgrade: null, over: new Set<string>(), healthy: true },
        ]),
    );
  }

  server(name: string): FakeServer {
    const server = this.servers.get(name);
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  async status({ server }: { server: string }): Promise<AgentStatus> {
    this.#reach(server);
    return this.#statusOf(server);
  }

  async prepare(): Promise<void> {
    this.#note('prepare');
  }

  async upgrade(
    { server: name }: { server: string },
    { key, params }: { key: string; params: { version: string } },
  ): Promise<AgentStatus> {
    this.#note('upgrade');
    this.#reach(name);
    const server = this.server(name);
    if (server.over.has(key)) throw new ChangeoverError('Fenced', `${key} is over`);
    if (server.upgrade?.key !== key) {
      if (server.upgrade !== null) server.over.add(server.upgrade.key);
      this.#install(name, key, params.version);
    }
    return this.#statusOf(name);
  }

  #reach(name: string): void {
    const { fault } = this.server(name);
    if (fault?.code === 'AgentUnreachable') throw new ChangeoverError(fault.code, fault.message);
  }

  #install(name: string, key: string, version: string): void {
    const server = this.server(name);
    const routed = this.#table().servers.find((one) => one.name === name);
    if (routed?.ingress !== 'closed')
      throw new Error(`invariant 2: ${name} is changed while ${routed?.ingress}`);
    const at = new Date().toISOString();
    const base = { key, version, step: 'starting' as const, startedAt: at, finishedAt: at };
    if (server.fault === undefined) {
      server.version = version;
      server.upgrade = { ...base, state: 'done' };
    } else {
      server.upgrade = { ...base, state: 'failed', error: server.fault };
    }
  }

  #statusOf(name: string): AgentStatus {
    const { version, upgrade } = this.server(name);
    return {
      server: name,
      service: this.#plan.service,
      os: 'linux',
      runningVersion: version,
      healthy: this.server(name).healthy,
      inFlight: this.server(name).inFlight,
      upgrade,
    };
  }
}
