import type { Rule } from '../rule.js';

/** The rule that a file breaks which is no image. */
export const NOT_AN_IMAGE: Rule = {
  id: 'QS1001',
  name: 'image',
  title: 'The file is a qcow2 image that can be opened',
  reason: 'What can not be opened can not be judged, and may be anything.',
  needs: [],
  options: {},
  judge: () => [],
};
