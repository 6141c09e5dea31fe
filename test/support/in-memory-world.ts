import type { ActivityDependencies } from '../../src/activities/dependencies.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import type { UpgradeReport } from '../../src/domain/report/report.ts';
import type { GatewayExclusion } from '../../src/domain/gateway-standing.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { applyTransitions, type Transition } from '../../src/domain/routes/transitions.ts';
import type { Fenced, TrafficAnswer } from '../../src/protocol/controller.ts';
import { baselineRoutes } from './baseline-routes.ts';
import { BlockLog } from './block-log.ts';
import { InMemoryAgents, type FakeServer } from './in-memory-agents.ts';
import { InMemoryTraffic } from './in-memory-traffic.ts';

/**
 * Controller and agents in memory, below the ports: for tests of the workflow itself and for the measurement of its
 * history, where five hundred real servers would measure this machine. It keeps the rules that the real ones keep
 * (fencing, no change of an open server) and breaks on whoever breaks them.
 */
export class InMemoryWorld {
  /** The servers' side. */
  readonly agents: InMemoryAgents;
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
  private readonly counters = new InMemoryTraffic();
  private fence = 0;
  private highestStep = -1;
  private staged: readonly Transition[] = [];
  readonly blockLog = new BlockLog();
  private readonly plan: Plan;

  constructor(plan: Plan) {
    this.plan = plan;
    this.table = baselineRoutes(plan);
    this.agents = new InMemoryAgents({
      plan,
      table: () => this.table,
      note: (call) => this.note(call),
    });
  }

  get servers(): ReadonlyMap<string, FakeServer> {
    return this.agents.servers;
  }

  server(name: string): FakeServer {
    return this.agents.server(name);
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
          this.blockLog.close({ ...request, shares: this.shares }, this.counters.counted),
        checkRoutes: async () => ({
          gateways: this.plan.gateways.map(({ name }) => ({
            gateway: name,
            problem: this.lacking[name] ?? null,
          })),
        }),
        armGuardrails: async () => this.note('armGuardrails'),
        reportReady: async () => this.note('reportReady'),
      },
      agents: this.agents,
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

  private traffic(): TrafficAnswer {
    this.note('traffic');
    return {
      service: this.plan.service,
      at: new Date().toISOString(),
      tableVersion: this.table.version,
      unread: [],
      pulls: this.pulls,
      ...this.counters.read(this.table, this),
    };
  }
}
