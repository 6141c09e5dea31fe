import type { ActivityDependencies } from '../../src/activities/dependencies.ts';
import { ChangeoverError, type ErrorCode } from '../../src/domain/errors.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import type { UpgradeReport } from '../../src/domain/report/report.ts';
import type { GatewayExclusion } from '../../src/domain/gateway-standing.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { applyTransitions, type Transition } from '../../src/domain/routes/transitions.ts';
import type { AgentStatus } from '../../src/protocol/agent.ts';
import type { Fenced, TrafficAnswer } from '../../src/protocol/controller.ts';
import { baselineRoutes } from './baseline-routes.ts';
import { BlockLog } from './block-log.ts';

interface FakeServer {
  version: string;
  inFlight: number;
  upgrade: AgentStatus['upgrade'];
  /** Keys that were pushed before the present one: pushed again, they are refused as the real agent does. */
  over: Set<string>;
  healthy: boolean;
  /** What the next pushes answer with, until it is taken away. */
  fault?: { code: ErrorCode; message: string };
}

/**
 * Controller and agents in memory, below the ports: for tests of the workflow itself and for the measurement of its
 * history, where five hundred real servers would measure this machine. It keeps the rules that the real ones keep
 * (fencing, no change of an open server) and breaks on whoever breaks them.
 */
export class InMemoryWorld {
  readonly servers = new Map<string, FakeServer>();
  readonly reports: UpgradeReport[] = [];
  readonly calls: string[] = [];
  table: RouteTable;
  lockedBy: string | undefined;
  /** Rates at which each version turns allocated traffic into volume. */
  rates: Readonly<Record<string, number>> = { '1.4': 0.2, '2.0-a': 0.8, '2.0-b': 0.3 };
  /** Allocated requests that each open version gets between two readings. */
  requestsPerReading = 100;
  /** What the split is said to be, where it is to be checked. */
  shares?: Readonly<Record<string, number>>;
  /** Requests between two readings that another version took over, by who took them. */
  movedPerReading: Readonly<Record<string, number>> = {};
  /** Where plans read what is not counted by the gateways. */
  metrics: ActivityDependencies['metrics'] = () => {
    throw new Error('no metrics source here');
  };
  controllerAway = false;
  /** Which gateways do not acknowledge which tables. */
  isDeaf: (gateway: string, table: RouteTable) => boolean = () => false;
  /** Gateways that operators declared gone. One that acknowledges counts again. */
  readonly excluded = new Map<string, GatewayExclusion>();
  /** What gateways lack, by name. */
  lacking: Readonly<Record<string, string>> = {};
  pulls: TrafficAnswer['pulls'] = [];
  private fence = 0;
  private highestStep = -1;
  private staged: readonly Transition[] = [];
  private readonly moved = new Map<string, number>();
  private readonly counted = new Map<string, { allocated: number; volume: number }>();
  private readonly blockLog = new BlockLog();
  private readonly plan: Plan;

  constructor(plan: Plan) {
    this.plan = plan;
    this.table = baselineRoutes(plan);
    for (const { name } of this.table.servers) {
      this.servers.set(name, {
        version: plan.baseline.version,
        inFlight: 0,
        upgrade: null,
        over: new Set(),
        healthy: true,
      });
    }
  }

  server(name: string): FakeServer {
    const server = this.servers.get(name);
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  versions(): ReadonlySet<string> {
    return new Set([...this.servers.values()].map(({ version }) => version));
  }

  dependencies(): ActivityDependencies {
    return {
      lock: {
        acquire: async (_service, { upgradeId }) => {
          this.note('acquire');
          if (this.lockedBy !== undefined && this.lockedBy !== upgradeId) {
            throw new ChangeoverError('ServiceLocked', `The service is being upgraded by ${this.lockedBy}.`);
          }
          if (this.lockedBy === undefined) {
            this.lockedBy = upgradeId;
            this.fence += 1;
            this.highestStep = -1;
          }
          return { fence: this.fence };
        },
        release: async () => {
          this.note('release');
          this.lockedBy = undefined;
        },
        excludeGateway: async (_service, { gateway, by, reason, ...fenced }) => {
          this.note('excludeGateway');
          this.check(fenced);
          if (!this.isDeaf(gateway, this.table)) {
            throw new ChangeoverError('GatewayAnswers', `${gateway} is not gone: it answers.`);
          }
          const upgradeId = this.lockedBy ?? '';
          this.excluded.set(gateway, { by, reason, at: new Date().toISOString(), upgradeId });
        },
      },
      registry: {
        adopt: async () => ({ version: this.table.version }),
        stage: async (_service, request) => {
          this.note('stage');
          this.check(request);
          this.staged = request.transitions;
          return { version: this.table.version + 1 };
        },
        activate: async (_service, request) => {
          this.note('activate');
          this.check(request);
          const next = applyTransitions(this.table, request.transitions ?? this.staged, this.table.version);
          if (JSON.stringify(next) !== JSON.stringify(this.table)) {
            this.table = { ...next, version: this.table.version + 1 };
          }
          return { version: this.table.version };
        },
        publish: async () => {
          this.note('publish');
          return { version: this.table.version, gateways: this.gateways() };
        },
        status: async () => ({
          service: this.plan.service,
          lock: null,
          active: structuredClone(this.table) as never,
          staged: null,
          gateways: this.gateways(),
          ready: {},
        }),
      },
      metrics: (...of) => this.metrics(...of),
      observatory: {
        load: async (_service, servers) => {
          this.note('load');
          if (servers.length === 0) throw new ChangeoverError('InvalidRequest', 'server: name at least one.');
          return this.load(servers);
        },
        traffic: async () => this.traffic(),
        blocks: async (_service, request) =>
          this.blockLog.close({ ...request, shares: this.shares }, this.counted),
        checkRoutes: async () => ({
          gateways: this.plan.gateways.map(({ name }) => ({
            gateway: name,
            problem: this.lacking[name] ?? null,
          })),
        }),
        armGuardrails: async () => this.note('armGuardrails'),
        reportReady: async () => this.note('reportReady'),
      },
      agents: {
        status: async ({ server }) => {
          const { fault } = this.server(server);
          if (fault?.code === 'AgentUnreachable') throw new ChangeoverError(fault.code, fault.message);
          return this.agentStatus(server);
        },
        prepare: async () => this.note('prepare'),
        upgrade: async ({ server: name }, { key, params }) => {
          this.note('upgrade');
          const server = this.server(name);
          if (server.fault?.code === 'AgentUnreachable') {
            throw new ChangeoverError(server.fault.code, server.fault.message);
          }
          if (server.over.has(key)) throw new ChangeoverError('Fenced', `${key} is over`);
          if (server.upgrade?.key !== key) {
            if (server.upgrade !== null) server.over.add(server.upgrade.key);
            this.install(name, key, params.version);
          }
          return this.agentStatus(name);
        },
      },
      reports: {
        write: async (report) => {
          this.reports.push(report);
          return ['report.json'];
        },
      },
    };
  }

  private load(servers: readonly string[]) {
    return {
      gateways: this.plan.gateways.map(({ name: gateway }) => ({
        gateway,
        tableVersion: this.table.version,
        servers: servers.map((name) => ({
          name,
          inFlight: this.server(name).inFlight,
          transactions: 0,
          healthy: true,
        })),
      })),
    };
  }

  private install(name: string, key: string, version: string): void {
    const server = this.server(name);
    const routed = this.table.servers.find((one) => one.name === name);
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

  private note(call: string): void {
    this.calls.push(call);
    if (this.controllerAway && call !== 'upgrade' && call !== 'prepare') {
      throw new ChangeoverError('ControllerUnreachable', 'The flow controller does not answer.');
    }
  }

  private check({ fence, step }: Fenced): void {
    if (fence !== this.fence || step < this.highestStep)
      throw new ChangeoverError('Fenced', `step ${step} is late`);
    this.highestStep = step;
  }

  private gateways() {
    return this.plan.gateways.map(({ name }) => {
      const isDeaf = this.isDeaf(name, this.table);
      if (!isDeaf) this.excluded.delete(name);
      const excluded = this.excluded.get(name);
      return {
        name,
        acknowledged: isDeaf ? this.table.version - 1 : this.table.version,
        acknowledgedAt: null,
        problem: isDeaf ? 'connection refused' : null,
        problemSince: null,
        ...(excluded === undefined ? {} : { excluded }),
      };
    });
  }

  private agentStatus(name: string): AgentStatus {
    const { version, upgrade } = this.server(name);
    return {
      server: name,
      service: this.plan.service,
      os: 'linux',
      runningVersion: version,
      healthy: this.server(name).healthy,
      inFlight: this.server(name).inFlight,
      upgrade,
    };
  }

  private traffic(): TrafficAnswer {
    this.note('traffic');
    const pulled = new Set(this.table.split?.pulled ?? []);
    for (const version of new Set(
      this.table.servers.filter((s) => s.ingress === 'open').map((s) => s.release),
    )) {
      if (pulled.has(version)) continue;
      const before = this.counted.get(version) ?? { allocated: 0, volume: 0 };
      this.counted.set(version, {
        allocated: before.allocated + this.requestsPerReading,
        volume: before.volume + Math.round(this.requestsPerReading * (this.rates[version] ?? 0)),
      });
    }
    for (const [version, more] of Object.entries(this.movedPerReading)) {
      this.moved.set(version, (this.moved.get(version) ?? 0) + more);
    }
    const moved = [...this.moved].map(([release, allocated]) => [release, { allocated, volume: 0 }] as const);
    const rows = [
      ...[...this.counted].map((row) => ['all', ...row] as const),
      ...moved.map((row) => ['failover', ...row] as const),
    ];
    return {
      service: this.plan.service,
      at: new Date().toISOString(),
      tableVersion: this.table.version,
      unread: [],
      pulls: this.pulls,
      counts: rows.map(([bucket, release, { allocated, volume }]) => ({
        release,
        cluster: '',
        server: release,
        bucket,
        requests: allocated,
        allocated,
        succeeded: allocated,
        clientErrors: 0,
        serverErrors: 0,
        failed: 0,
        aborted: 0,
        slow: 0,
        volumeCount: volume,
        volumeAmount: volume,
        latency: [],
        latencySumMs: 0,
      })),
    };
  }
}
