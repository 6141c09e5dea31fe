/**
 * The layout as lint rules: arrows only point down. Each layer says which folders below `src/` and which packages it may
 * import, and what to do instead of anything else. `types` are folders of which only types may be imported; `packages`
 * matches the packages and Node modules that are allowed. Whatever has no entry here (composition roots such as
 * `src/worker.ts`) may import anything of `src/`.
 *
 * @typedef {{ may: string[], types?: string[], packages: RegExp, instead: string }} Layer
 */

const NONE = /^(?!)/;
const ALL_BUT_TEMPORAL = /^(?!@temporalio\/)/;

/** @type {Record<string, Layer>} */
export const LAYERS = {
  domain: {
    may: [],
    packages: /^(zod|ms|xxhash-wasm|fastest-levenshtein)$/,
    instead:
      'The domain is pure and runs inside workflows: hand it values, and do I/O in src/activities or src/adapters.',
  },
  os: {
    may: [],
    packages: /^node:/,
    instead: 'This is what the operating system shows, for whoever asks: what it means belongs to them.',
  },
  protocol: {
    may: ['domain'],
    packages: ALL_BUT_TEMPORAL,
    instead: 'A protocol is what two processes share: what only one of them needs belongs in that process.',
  },
  ports: {
    may: ['domain'],
    types: ['protocol'],
    packages: NONE,
    instead: 'A port is an interface only: put what implements it into src/adapters.',
  },
  workflows: {
    may: ['domain'],
    types: ['activities', 'ports', 'protocol'],
    packages: /^@temporalio\/(workflow|common)$/,
    instead: 'A workflow is deterministic: do it in an activity, and `import type` the activities.',
  },
  activities: {
    may: ['domain', 'ports'],
    types: ['protocol'],
    packages: /^(?!@temporalio\/(?!activity$|common$))/,
    instead:
      'An activity knows ports only: add what it needs to a port and let src/worker.ts wire the adapter in.',
  },
  adapters: {
    may: ['domain', 'ports', 'protocol'],
    packages: ALL_BUT_TEMPORAL,
    instead:
      'An adapter speaks to the other process over its protocol: share schemas in src/protocol, not code.',
  },
  gateway: {
    may: ['domain', 'protocol'],
    packages: ALL_BUT_TEMPORAL,
    instead: 'The data plane runs without Temporal and its neighbours: talk to them over src/protocol.',
  },
  haproxy: {
    may: ['domain', 'protocol', 'gateway', 'os'],
    packages: ALL_BUT_TEMPORAL,
    instead:
      'The companion of an HAProxy is a gateway with another data plane: it shares src/gateway, and knows no neighbours.',
  },
  agent: {
    may: ['domain', 'protocol', 'os'],
    packages: ALL_BUT_TEMPORAL,
    instead: 'The agent runs without Temporal and its neighbours: talk to them over src/protocol.',
  },
  controller: {
    may: ['domain', 'protocol'],
    types: ['ports'],
    packages: ALL_BUT_TEMPORAL,
    instead: 'The controller runs without Temporal and its neighbours: talk to them over src/protocol.',
  },
};

/** Configuration entries for `eslint.config.js`. @param {string} root folder of the repository */
export function layerConfigs(root) {
  const layers = Object.entries(LAYERS).map(([name, layer]) => layerConfig(root, name, layer));
  return [
    ...layers,
    {
      files: ['src/**/*.ts'],
      ignores: Object.keys(LAYERS).map((name) => `src/${name}/**`),
      rules: { 'import-x/no-restricted-paths': ['error', { basePath: root, zones: [productZone()] }] },
    },
    {
      files: ['src/domain/**/*.ts'],
      rules: {
        'no-restricted-properties': [
          'error',
          { object: 'Date', property: 'now', message: 'Hand the time in as a value: the domain is pure.' },
          {
            object: 'Math',
            property: 'random',
            message: 'Hand the number in as a value: the domain is pure.',
          },
          { object: 'process', property: 'env', message: 'Read the environment in src/config.ts.' },
        ],
      },
    },
  ];
}

/** @param {string} root @param {string} name @param {Layer} layer */
function layerConfig(root, name, { may, types = [], packages, instead }) {
  const message = `src/${name} may import ${listed(may, types)}. ${instead}`;
  const zone = {
    target: `./src/${name}`,
    from: './src',
    except: [name, ...may, ...types].map((d) => `./${d}`),
    message,
  };
  return {
    files: [`src/${name}/**/*.ts`],
    rules: {
      'import-x/no-restricted-paths': ['error', { basePath: root, zones: [zone, productZone()] }],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            ...types.map((type) => ({
              regex: `^(\\.\\./)+${type}/`,
              allowTypeImports: true,
              message: `Only types of src/${type} may be imported here (\`import type\`). ${instead}`,
            })),
            { regex: `^(?!\\.)(?!${packages.source.slice(1)})`, message },
          ],
        },
      ],
    },
  };
}

function productZone() {
  return {
    target: './src',
    from: ['./test', './demo', './bench', './scripts'],
    message: 'The product does not know its tests and demo: move what both need into src.',
  };
}

/** @param {string[]} may @param {string[]} types */
function listed(may, types) {
  const all = [...may.map((d) => `src/${d}`), ...types.map((d) => `types of src/${d}`)];
  return all.length === 0 ? 'nothing else of src' : `only ${all.join(', ')}`;
}
