/** A trial of seconds, for tests that want to see its end. */
export const quick = {
  trial: {
    stages: [
      { share: '50%', length: '500ms' },
      { share: '100%', length: '1s' },
    ],
    readEvery: '250ms',
    minSamples: 10,
  },
};
