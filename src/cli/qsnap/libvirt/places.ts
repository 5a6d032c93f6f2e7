/** Where libvirt keeps what it knows of machines and of their snapshots. */
import { readdirSync } from 'node:fs';
import path from 'node:path';

export interface LibvirtPlace {
  /** Has a file for each domain. */
  readonly definitions: string;
  /** Has a folder for each domain with snapshots, and a file in it for each of them. */
  readonly snapshots: string;
  /** Which of its daemons a command has to ask; undefined for the usual one. */
  readonly uri: string | undefined;
}

/** A place and the domains there that have, or had, snapshots. */
export interface FoundPlace extends LibvirtPlace {
  readonly domains: readonly string[];
}

/**
 * The places where domains have snapshots. Where there is no libvirt this costs a look for a folder that is not there.
 *
 * @param env `QSNAP_LIBVIRT` names a folder to look at instead of the usual ones, as libvirt's of a user is: with
 *   `DOMAIN.xml` and `snapshot/DOMAIN/NAME.xml`. Empty, it means none.
 */
export function libvirtPlaces(
  env: Readonly<Record<string, string | undefined>>,
): readonly FoundPlace[] {
  return placesOf(env).flatMap((place) => {
    try {
      return { ...place, domains: readdirSync(place.snapshots) };
    } catch {
      // It is not there, or not for this user.
      return [];
    }
  });
}

function placesOf(env: Readonly<Record<string, string | undefined>>): readonly LibvirtPlace[] {
  const named = env['QSNAP_LIBVIRT'];
  if (named === '') return [];
  if (named !== undefined) return [placeOfUser(named, undefined)];
  const { XDG_CONFIG_HOME: config, HOME: home } = env;
  const system = {
    definitions: '/etc/libvirt/qemu',
    snapshots: '/var/lib/libvirt/qemu/snapshot',
    uri: 'qemu:///system',
  };
  const ofUser = config ?? (home === undefined ? undefined : path.join(home, '.config'));
  if (ofUser === undefined) return [system];
  return [system, placeOfUser(path.join(ofUser, 'libvirt', 'qemu'), 'qemu:///session')];
}

function placeOfUser(folder: string, uri: string | undefined): LibvirtPlace {
  return { definitions: folder, snapshots: path.join(folder, 'snapshot'), uri };
}
