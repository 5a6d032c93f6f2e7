import { NO_DETAILS, type Unnumbered } from './candidate.js';
import { whereaboutsOf, type Ground } from './ground.js';

/** A candidate of one cluster, of which no more is known than where it lies. */
export function bareCandidate(
  ground: Ground,
  kind: Unnumbered['kind'],
  at: number,
): Omit<Unnumbered, 'plausibility' | 'reasons'> {
  const { clusterBytes } = ground.format.geometry;
  const cluster = Math.floor(at / clusterBytes);
  return { ...NO_DETAILS, kind, at, bytes: clusterBytes, where: whereaboutsOf(cluster, ground) };
}
