import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import { readJsonFile } from './json-files.ts';
import { serviceStateSchema, type Change, type ServiceState } from './service-state.ts';

const STATE_FILE = /^([a-z0-9][a-z0-9-]{0,62})\.json$/;

/** The states of all services: in memory what is on disk, never more. */
export interface ServiceStore {
  names(): readonly string[];
  /** @throws ChangeoverError `ServiceUnknown` */
  get(service: string): ServiceState;
  /**
   * Changes one service; changes of the same service wait for each other. What `change` returns is on disk before
   * anybody sees it or is answered; if it throws, or the disk does, nothing has changed.
   */
  update<T>(service: string, change: (state: ServiceState) => Change<T>): Promise<T>;
  /** The same for a service that may not exist yet. */
  create<T>(service: string, change: (known: ServiceState | undefined) => Change<T>): Promise<T>;
  /** `listener` is called whenever another table became active. */
  onActivated(listener: (service: string) => void): void;
  /** Resolves once every change that was asked for is on disk, or has failed. */
  settled(): Promise<void>;
}

/** Reads what is in `stateDir`. @throws ChangeoverError `Internal` naming the file that is damaged. */
export async function openServiceStore(stateDir: string): Promise<ServiceStore> {
  await mkdir(stateDir, { recursive: true });
  const states = new Map<string, ServiceState>();
  for (const file of await readdir(stateDir)) {
    if (!STATE_FILE.test(file)) continue;
    const state = await readJsonFile<ServiceState>(join(stateDir, file), serviceStateSchema);
    if (state !== undefined) states.set(state.service, state);
  }
  return createStore(stateDir, states);
}

function createStore(stateDir: string, states: Map<string, ServiceState>): ServiceStore {
  const queues = new Map<string, Promise<unknown>>();
  const listeners: ((service: string) => void)[] = [];

  async function apply<T>(
    service: string,
    change: (known: ServiceState | undefined) => Change<T>,
  ): Promise<T> {
    const before = states.get(service);
    const { state, answer } = change(before);
    if (state === before) return answer;
    await writeFileAtomic(join(stateDir, `${service}.json`), `${JSON.stringify(state)}\n`);
    states.set(service, state);
    if (state.active !== before?.active) for (const listener of listeners) listener(service);
    return answer;
  }

  const store: ServiceStore = {
    names: () => [...states.keys()],
    get: (service) => known(service, states.get(service)),
    update: (service, change) => store.create(service, (state) => change(known(service, state))),
    create(service, change) {
      const turn = (queues.get(service) ?? Promise.resolve()).then(() => apply(service, change));
      queues.set(
        service,
        turn.catch(() => undefined),
      );
      return turn;
    },
    onActivated: (listener) => void listeners.push(listener),
    async settled() {
      await Promise.all(queues.values());
    },
  };
  return store;
}

function known(service: string, state: ServiceState | undefined): ServiceState {
  if (state !== undefined) return state;
  throw new ChangeoverError(
    'ServiceUnknown',
    `The controller does not manage a service ${service}; take it under management first.`,
  );
}
