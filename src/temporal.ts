import { Client, Connection } from '@temporalio/client';
import { encodeSearchAttributeIndexedValueType } from '@temporalio/common/lib/search-attributes.js';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnection } from '@temporalio/worker';
import { readConfig } from './config.ts';
import { ChangeoverError } from './domain/errors.ts';
import { SEARCH_ATTRIBUTES, type SearchAttributeName } from './domain/search-attributes.ts';

type IndexedValueType = NonNullable<ReturnType<typeof encodeSearchAttributeIndexedValueType>>;

/** gRPC status codes that a server answers with where a call is not for everybody, or not offered at all. */
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;
const ALREADY_EXISTS = 6;

const CONNECT_TIMEOUT_MS = 10_000;

export interface TemporalClient extends AsyncDisposable {
  readonly connection: Connection;
  readonly client: Client;
  readonly namespace: string;
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Connects a client by the variables that Temporal's own tools use: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`,
 * `TEMPORAL_API_KEY`, `TEMPORAL_TLS`, `TEMPORAL_TLS_CLIENT_CERT_PATH` and so on.
 *
 * @throws ChangeoverError `TemporalUnreachable`; `InvalidRequest` where the variables are wrong
 */
export async function connectTemporal(env: NodeJS.ProcessEnv = process.env): Promise<TemporalClient> {
  const { options, address, namespace } = connectionOptions(env);
  const connection = await reach(address, () =>
    Connection.connect({ ...options, connectTimeout: CONNECT_TIMEOUT_MS }),
  );
  const close = () => connection.close();
  return {
    connection,
    client: new Client({ connection, namespace }),
    namespace,
    address,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The same for a worker. The caller closes the connection once the worker has stopped. */
export async function connectWorker(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ connection: NativeConnection; namespace: string }> {
  const { options, address, namespace } = connectionOptions(env);
  // Only workers pay for the native part of the SDK.
  const worker = await import('@temporalio/worker');
  return { connection: await reach(address, () => worker.NativeConnection.connect(options)), namespace };
}

/**
 * Makes sure that the namespace knows the search attributes of runs; without them no run can start.
 *
 * @throws ChangeoverError `Unauthorized` with the commands for somebody who may, where this caller may not
 */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const { keys } = await connection.workflowService.getSearchAttributes({});
  const names = Object.keys(SEARCH_ATTRIBUTES) as SearchAttributeName[];
  const missing = names.filter((name) => !Object.hasOwn(keys, name));
  if (missing.length === 0) return;
  const searchAttributes: Record<string, IndexedValueType> = {};
  for (const name of missing) {
    const type = encodeSearchAttributeIndexedValueType(SEARCH_ATTRIBUTES[name]);
    if (type !== undefined) searchAttributes[name] = type;
  }
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    const status = error instanceof Error && 'code' in error ? error.code : undefined;
    if (status === ALREADY_EXISTS) return;
    if (status !== PERMISSION_DENIED && status !== UNIMPLEMENTED) throw error;
    throw new ChangeoverError(
      'Unauthorized',
      [
        `Namespace ${namespace} lacks search attributes, and this client may not add them. An administrator can:`,
        ...missing.map((name) => `  ${commandFor(name, namespace)}`),
      ].join('\n'),
      { details: { missing }, cause: error },
    );
  }
}

function commandFor(name: SearchAttributeName, namespace: string): string {
  const type = SEARCH_ATTRIBUTES[name] === 'KEYWORD_LIST' ? 'KeywordList' : 'Keyword';
  return `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type}`;
}

interface ConnectionSettings {
  readonly options: ClientConnectConfig['connectionOptions'];
  readonly address: string;
  readonly namespace: string;
}

function connectionOptions(env: NodeJS.ProcessEnv): ConnectionSettings {
  const { address, namespace } = readConfig(env).temporal;
  try {
    const { connectionOptions: options } = loadClientConnectConfig({
      // A profile in the user's home must not send a demo or a test to a production server.
      disableFile: true,
      overrideEnvVars: Object.fromEntries(
        Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])),
      ),
    });
    return { options: { ...options, address }, address, namespace };
  } catch (error) {
    throw new ChangeoverError('InvalidRequest', `The TEMPORAL_… variables are not usable: ${String(error)}`, {
      cause: error,
    });
  }
}

async function reach<Result>(address: string, connect: () => Promise<Result>): Promise<Result> {
  try {
    return await connect();
  } catch (error) {
    throw new ChangeoverError(
      'TemporalUnreachable',
      `Temporal does not answer at ${address}. Start it (\`temporal server start-dev\`), or set TEMPORAL_ADDRESS. ` +
        `(${error instanceof Error ? error.message : String(error)})`,
      { cause: error },
    );
  }
}
