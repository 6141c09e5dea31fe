import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { createAgentOverHttp } from '../adapters/agent-over-http.ts';
import { createFlowController } from '../adapters/flow-controller.ts';
import { createMetricsSource } from '../adapters/metrics/create-metrics-source.ts';
import { reportFiles } from '../adapters/report-files.ts';
import { readConfig, type Config } from '../config.ts';
import { connectTemporal, connectWorker, ensureSearchAttributes } from '../temporal.ts';
import { createWorker } from '../worker.ts';
import { processLogger } from './process-logger.ts';
import { runProcess } from './run-process.ts';

/** A worker as a process: connects, polls, and finishes what is under way when it is told to stop. */
export async function runWorker(env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(env);
  const logger = processLogger('worker', config);
  // Our own handlers decide when to shut down; the SDK's logs come with ours.
  Runtime.install({ logger: temporalLogger(logger), shutdownSignals: [] });
  await prepareNamespace(env);
  const { connection, namespace } = await connectWorker(env);
  try {
    const worker = await createWorker({ connection, namespace }, dependencies(config, env));
    await runProcess(
      {
        start: async () => {
          const failed = worker.start();
          logger.info({ namespace, address: config.temporal.address }, 'worker polls');
          return { failed };
        },
        close: () => worker.close(),
      },
      logger,
    );
  } finally {
    await connection.close();
  }
}

async function prepareNamespace(env: NodeJS.ProcessEnv): Promise<void> {
  await using temporal = await connectTemporal(env);
  await ensureSearchAttributes(temporal.connection, temporal.namespace);
}

function dependencies(
  { controller, agentToken, reportDir, metricsHosts = [] }: Config,
  env: NodeJS.ProcessEnv,
): ActivityDependencies {
  const flowController = createFlowController(controller);
  return {
    registry: flowController,
    lock: flowController,
    observatory: flowController,
    agents: createAgentOverHttp(agentToken === undefined ? {} : { token: agentToken }),
    reports: reportDir === undefined ? { write: async () => [] } : reportFiles(reportDir),
    metrics: (source, scale) => createMetricsSource(source, scale, { env, allowedHosts: metricsHosts }),
  };
}

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

function temporalLogger(logger: Logger): DefaultLogger {
  return new DefaultLogger('INFO', ({ level, message, meta }) => logger[LEVELS[level]](meta ?? {}, message));
}
